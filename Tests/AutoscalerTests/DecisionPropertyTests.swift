import Autoscaler
import Glibc
import Testing

/// What holds for every state and every observation.
@Suite struct DecisionPropertyTests {
    /// Policies of all kinds, run through readings of all kinds; `check` gets the state before each decision.
    private func everywhere(_ check: (PolicyState, Observation, Decision) -> Void) {
        for seed in 1...24 {
            var random = SeededRandom(UInt64(seed))
            let minimum = Int.random(in: 0...3, using: &random)
            var conditions = [Given.queue(wait: Double.random(in: 5...300, using: &random))]
            if seed % 3 == 0 { conditions.append(.resource(ResourceCondition(name: "cpu", target: 0.7))) }
            if seed % 4 == 0 { conditions.append(.forecast(ForecastCondition(season: 600))) }
            if seed % 5 == 0 { conditions[0] = Given.queue(partitions: 12) }
            var policy = Given.policy(
                minimum: minimum, maximum: minimum + Int.random(in: 1...60, using: &random), conditions,
                rate: Double.random(in: 0.1...50, using: &random), start: Double.random(in: 0...120, using: &random),
                poll: Double.random(in: 1...30, using: &random))
            policy.downWindow = Double.random(in: 0...300, using: &random)
            var state = PolicyState(policy)
            var count = minimum
            var published = 0.0
            for poll in 0..<100 {
                let isKnown = Int.random(in: 0..<8, using: &random) > 0
                published += Double(Int.random(in: 0...3000, using: &random) * Int.random(in: 0...1, using: &random))
                let ready = Int.random(in: 0...count, using: &random)
                if Int.random(in: 0..<30, using: &random) == 0 { count = Int.random(in: 0...80, using: &random) }
                let observation = Observation(
                    time: Double(poll) * policy.poll, elapsed: poll == 0 ? 0 : policy.poll,
                    current: Int.random(in: 0..<20, using: &random) == 0
                        ? nil : InstanceCount(desired: count, ready: min(ready, count), starting: max(0, count - ready)),
                    queues: [
                        isKnown
                            ? Given.reading(Double(Int.random(in: 0...5000, using: &random)), published: published) : QueueReading.unknown
                    ], resources: ["cpu": Reading(Bool.random(using: &random) ? 0.5 : nil)])
                let before = state
                let decision = state.decide(observation)
                check(before, observation, decision)
                count = decision.desired
            }
        }
    }

    @Test func `the count is never outside of the bounds`() {
        everywhere { state, _, decision in
            #expect((state.policy.minimum...state.policy.maximum).contains(decision.desired))
        }
    }

    @Test func `what is not known never takes away`() {
        everywhere { state, observation, decision in
            let unknown = observation.queues[0].backlog.value == nil || observation.current == nil
            let held = observation.current?.desired ?? decision.desired
            if unknown, held <= state.policy.maximum { #expect(decision.desired >= held) }
            if unknown { #expect(decision.outcome != .down || held > state.policy.maximum) }
        }
    }

    @Test func `more waiting never means fewer, and more arriving neither`() {
        everywhere { state, observation, decision in
            guard let backlog = observation.queues[0].backlog.value, let published = observation.queues[0].published.value else { return }
            for factor in [1.1, 3, 100] {
                var more = observation
                more.queues[0].backlog = Reading(backlog * factor + 1)
                #expect(decide(state, more).1.desired >= decision.desired)
                more = observation
                more.queues[0].published = Reading(published * factor + 1)
                #expect(decide(state, more).1.desired >= decision.desired)
            }
        }
    }

    @Test func `the same observation once more, after the count was set, changes nothing`() {
        everywhere { state, observation, decision in
            let (after, _) = decide(state, observation)
            guard var current = observation.current else { return }
            let surplus = decision.desired - current.desired
            if surplus >= 0 {
                current.starting += surplus
            } else {
                let unborn = min(current.starting, -surplus)
                current.starting -= unborn
                current.ready -= -surplus - unborn
            }
            current.desired = decision.desired
            var again = observation
            again.elapsed = 0
            again.current = current
            // A count that somebody else set was left for one decision: the next one may correct it.
            if !decision.because.contains("somebody else") { #expect(decide(after, again).1.desired == decision.desired) }
        }
    }

    @Test func `a decision depends on nothing but state and observation`() {
        everywhere { state, observation, decision in #expect(decide(state, observation).1 == decision) }
    }

    @Test(arguments: [0.5, 3, 17, 100, 333, 812])
    func `constant arrivals settle on one count`(arrivals: Double) {
        let end = 7200.0
        let history = History(rows: [History.Row(time: 0, published: 0), History.Row(time: end, published: Int(arrivals * end))])
        let (run, decisions) = Simulation(Given.policy(), history: history).run()
        // One way up, one way down to where it stays.
        #expect(run.summary.reversals <= 1)
        #expect(Set(decisions.filter { $0.time > 1200 }.map(\.desired)).count == 1)
    }

    @Test func `a thousand policies each decide once in a round, whatever becomes of the others`() {
        var round = PolicyRound(
            (0..<1000).map { number in
                var policy = Given.policy()
                policy.name = "p\(number)"
                return policy
            })
        var first: Set<String> = []
        for turn in 1...50 {
            let decisions = round.decide { policy in
                // Every third source never answers.
                let isBroken = (Int(policy.name.dropFirst()) ?? 0) % 3 == 0
                return Observation(
                    time: Double(turn), elapsed: 15, current: InstanceCount(desired: 1, ready: 1, starting: 0),
                    queues: [isBroken ? .unknown : Given.reading(0, published: 0)])
            }
            #expect(Set(decisions.map(\.policy)).count == 1000)
            #expect(decisions.allSatisfy { $0.seq == turn })
            if let name = decisions.first?.policy { first.insert(name) }
        }
        // None is always served first, or last.
        #expect(first.count == 50)
    }

    /// Of this thread alone: other tests run at the same time.
    private func cpuTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test func `ten thousand policies decide in one round`() {
        var round = PolicyRound(
            (0..<10_000).map { number in
                var policy = Given.policy()
                policy.name = "p\(number)"
                return policy
            })
        var published = 0.0
        func decide() -> Int {
            published += 1500
            return round.decide { _ in
                Observation(
                    time: 0, elapsed: 15, current: InstanceCount(desired: 12, ready: 12, starting: 0),
                    queues: [Given.reading(20, published: published)])
            }.count
        }
        for _ in 0..<2 { #expect(decide() == 10_000) }
        let before = cpuTime()
        _ = decide()
        print("a round of 10,000 policies took \(Int((cpuTime() - before) * 1000)) ms of CPU")
    }
}
