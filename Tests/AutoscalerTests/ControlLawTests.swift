import Autoscaler
import Testing

/// What the law asks of one queue.
@Suite struct ControlLawTests {
    @Test func `arrivals are served with a reserve, without anything waiting`() {
        var fleet = Fleet(Given.policy(), count: 20)
        for _ in 0..<30 { fleet.poll(backlog: 10, arrivals: 100) }
        // 100 a second, 10 each, 85 % busy: 11.8.
        #expect(fleet.count == 12)
        #expect(fleet.decisions.last?.input("arrivals")?.value == 100)
    }

    @Test func `a backlog is drained in what the promise leaves after the dead time`() {
        var fleet = Fleet(Given.policy([Given.queue(wait: 360)]), count: 1)
        fleet.poll(backlog: 0)
        let decision = fleet.poll(backlog: 6600)
        // Less 600 that the one there does in the dead time of 60 s, in the 300 s that are left, 10 a second each.
        #expect(decision.outcome == .up)
        #expect(fleet.count == 2)
        #expect(fleet.poll(backlog: 36600).desired == 12)
    }

    @Test func `instances on their way count as what they will do`() {
        var with = PolicyState(Given.policy())
        _ = with.decide(observation(0, backlog: 0, ready: 1, starting: 0))
        let ordered = with.decide(observation(15, backlog: 3000, ready: 1, starting: 0)).desired
        #expect(ordered > 5)
        // Nothing more came: what was ordered is enough, and is not ordered again.
        let decision = with.decide(observation(15, backlog: 2850, ready: 1, starting: ordered - 1))
        #expect(decision.desired == ordered)
        #expect((decision.conditions.first?.desired ?? .max) < ordered)
    }

    private func observation(_ elapsed: Seconds, backlog: Double, ready: Int, starting: Int) -> Observation {
        Observation(
            time: 0, elapsed: elapsed, current: InstanceCount(desired: ready + starting, ready: ready, starting: starting),
            queues: [Given.reading(backlog, published: 3000)])
    }

    @Test func `fewer are wanted only when nothing asked for more within the window, and not within the dead time of a step up`() {
        var policy = Given.policy()
        policy.downWindow = 30
        var fleet = Fleet(policy)
        fleet.poll(backlog: 10)
        fleet.poll(backlog: 10, arrivals: 200)
        let high = fleet.count
        #expect(high > 20)
        var polls = 0
        while fleet.count == high {
            polls += 1
            let decision = fleet.poll(backlog: 10, arrivals: 20)
            if fleet.count == high { #expect(!decision.clamps.isEmpty) }
            if polls > 100 { break }
        }
        // The last rise of the smoothed arrivals was at the first poll; the dead time of 60 s is longer than the window.
        #expect(polls >= 4)
        #expect(polls < 10)
        #expect(fleet.count < high)
    }

    @Test func `chance moves nothing, and the last step to the least is always taken`() {
        var fleet = Fleet(Given.policy(), count: 49)
        for _ in 0..<40 { fleet.poll(backlog: 10, arrivals: 400) }
        // 47.1 are needed: one fewer than 49 is within chance.
        #expect(fleet.count == 49)
        #expect(fleet.decisions.last?.clamps.map(\.name) == ["deadband"])
        var small = Fleet(Given.policy(minimum: 47), count: 49)
        for _ in 0..<40 { small.poll(backlog: 10, arrivals: 390) }
        #expect(small.count == 47)
    }

    @Test func `with nothing waiting, in hand or arriving there is none after the idle time, and one message wakes one`() {
        var fleet = Fleet(Given.policy(minimum: 0))
        fleet.poll(backlog: 0)
        fleet.poll(backlog: 5, arrivals: 1)
        #expect(fleet.count == 1)
        // In hand until the third poll; then idle.
        var counts: [Int] = []
        for poll in 0..<8 { counts.append(fleet.poll(backlog: poll < 2 ? 1 : 0).desired) }
        // The last message was seen at the second poll: 60 s later it is idle.
        #expect(counts == [1, 1, 1, 1, 1, 0, 0, 0])
        #expect(fleet.poll(backlog: 1, arrivals: 1 / 15).desired == 1)
    }

    @Test func `a policy that begins with none and an empty queue starts none`() {
        var policy = Given.policy()
        policy.minimum = 0
        var fleet = Fleet(policy, count: 0)
        for _ in 0..<20 { #expect(fleet.poll(backlog: 0).desired == 0) }
        #expect(fleet.poll(backlog: 1).desired >= 1)
        // One that was there before is kept for the idle time, since nobody knows what it did.
        var before = Fleet(policy, count: 1)
        #expect(before.poll(backlog: 0).desired == 1)
    }

    @Test func `what is not known holds the count for ever, unless the policy names another after a time`() {
        var fleet = Fleet(Given.policy(minimum: 0), count: 7)
        fleet.poll(backlog: 0)
        for _ in 0..<1000 {
            let decision = fleet.poll(backlog: nil)
            #expect(decision.desired == 7)
            #expect(decision.outcome == .hold)
            #expect(decision.won == "unknown")
        }
        var policy = Given.policy(minimum: 0)
        policy.fallback = ScalingPolicy.Fallback(count: 3, after: 60)
        var other = Fleet(policy, count: 7)
        other.poll(backlog: 0)
        let counts = (0..<6).map { _ in other.poll(backlog: nil).desired }
        #expect(counts == [7, 7, 7, 7, 3, 3])
        #expect(other.decisions.last?.won == "fallback")
    }

    @Test(arguments: [-1, .nan, .infinity, -.infinity] as [Double])
    func `a number that is none is unknown, never zero`(number: Double) {
        var fleet = Fleet(Given.policy(minimum: 0), count: 7)
        fleet.poll(backlog: 0)
        let decision = fleet.poll(backlog: number)
        #expect(decision.outcome == .hold)
        #expect(decision.input("backlog")?.value == nil)
        #expect(decision.desired == 7)
    }

    @Test func `an orchestrator that does not answer holds the count`() {
        var fleet = Fleet(Given.policy())
        fleet.poll(backlog: 0)
        fleet.poll(backlog: 5000, arrivals: 100)
        let count = fleet.count
        let decision = fleet.decide(
            Observation(time: fleet.time, elapsed: 15, current: nil, queues: [Given.reading(90000, published: 99999)]))
        #expect(decision.desired == count)
        #expect(decision.outcome == .hold)
        #expect(decision.current == nil)
    }

    @Test func `a count that somebody else set is named and left for one decision`() {
        var fleet = Fleet(Given.policy(), count: 12)
        for _ in 0..<5 { fleet.poll(backlog: 10, arrivals: 100) }
        let count = fleet.count
        fleet.count = 3
        let found = fleet.poll(backlog: 10, arrivals: 100)
        #expect(found.desired == 3)
        #expect(found.current?.desired == 3)
        #expect(found.because.contains("somebody else set 3"))
        #expect(fleet.poll(backlog: 10, arrivals: 100).desired >= count)
    }

    @Test func `a step that the orchestrator did not carry out is no step of somebody else`() {
        var fleet = Fleet(Given.policy())
        fleet.poll(backlog: 10)
        #expect(fleet.poll(backlog: 10, arrivals: 100).desired > 1)
        fleet.count = 1
        let again = fleet.poll(backlog: 10, arrivals: 100)
        #expect(again.outcome == .up)
        #expect(!again.because.contains("somebody else"))
    }

    @Test(arguments: [(3, 3), (5, 6), (8, 12), (12, 12), (40, 12)])
    func `with partitions only counts that take from the busiest instance are asked for`(need: Int, wanted: Int) {
        var policy = Given.policy([Given.queue(partitions: 12)])
        policy.downWindow = 30
        var fleet = Fleet(policy, count: 40)
        for _ in 0..<30 { fleet.poll(backlog: 0, arrivals: Double(need) * 8.5 - 1) }
        #expect(fleet.count == wanted)
    }

    @Test func `arrivals are told from what is done where the source does not count them`() {
        var state = PolicyState(Given.policy())
        var decision: Decision?
        for poll in 0..<8 {
            decision = state.decide(
                Observation(
                    time: 0, elapsed: poll == 0 ? 0 : 15, current: InstanceCount(desired: 20, ready: 20, starting: 0),
                    queues: [Given.reading(100, acknowledged: Double(poll) * 1500)]))
        }
        #expect(decision?.input("arrivals")?.value == 100)
    }

    @Test func `a counter that begins again counts from zero`() {
        var state = PolicyState(Given.policy())
        var rates: [Double?] = []
        for published in [1000.0, 2500, 4000, 1500, 3000] {
            let decision = state.decide(
                Observation(
                    time: 0, elapsed: rates.isEmpty ? 0 : 15, current: InstanceCount(desired: 20, ready: 20, starting: 0),
                    queues: [Given.reading(10, published: published)]))
            rates.append(decision.input("arrivals")?.value)
        }
        #expect(rates == [nil, 100, 100, 100, 100])
    }

    @Test func `the same reading once more tells nothing new`() {
        var state = PolicyState(Given.policy())
        func observe(_ elapsed: Seconds, _ published: Double, age: Seconds) -> Double? {
            var reading = Given.reading(10)
            reading.published = Reading(published, age: age)
            return state.decide(
                Observation(time: 0, elapsed: elapsed, current: InstanceCount(desired: 20, ready: 20, starting: 0), queues: [reading])
            ).input("arrivals")?.value
        }
        _ = observe(0, 0, age: 0)
        #expect(observe(10, 1000, age: 0) == 100)
        // The broker tells every 10 s and is asked every 5.
        #expect(observe(5, 1000, age: 5) == 100)
        #expect(observe(5, 2000, age: 0) == 100)
    }
}
