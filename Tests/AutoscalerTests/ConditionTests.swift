import Autoscaler
import Foundation
import Testing

/// The reasons to have instances besides a queue.
@Suite struct ConditionTests {
    private static let berlin = TimeZone(identifier: "Europe/Berlin") ?? .gmt

    private func time(_ text: String) throws -> Seconds {
        let formatter = ISO8601DateFormatter()
        return try #require(formatter.date(from: text)).timeIntervalSince1970
    }

    /// The count with nothing else to do, at a moment.
    private func count(_ window: WindowCondition, at text: String, start: Seconds = 0, from count: Int = 1) throws -> Int {
        var state = PolicyState(Given.policy([.window(window)], start: start, poll: 0.001))
        return state.decide(
            Observation(time: try time(text), elapsed: 0, current: InstanceCount(desired: count, ready: count, starting: 0))
        ).desired
    }

    private func daily(_ schedule: String, hours: Double, floor: Int? = 5, ceiling: Int? = nil) throws -> WindowCondition {
        WindowCondition(
            times: .cron(try #require(CronSchedule(schedule)), length: hours * 3600), zone: Self.berlin, floor: floor, ceiling: ceiling)
    }

    @Test(arguments: [
        ("2026-11-26T06:59:59Z", 1), ("2026-11-26T07:00:00Z", 5), ("2026-11-26T16:59:59Z", 5), ("2026-11-26T17:00:00Z", 1),
        ("2026-11-28T09:00:00Z", 1),  // a Saturday
        ("2026-07-01T06:00:00Z", 5), ("2026-07-01T05:59:59Z", 1),  // summer time
    ])
    func `a window by cron has its floor from its start to its end, by the clocks of its zone`(at: String, expected: Int) throws {
        #expect(try count(daily("0 8 * * mon-fri", hours: 10), at: at) == expected)
    }

    @Test(arguments: [("2026-11-26T06:58:59Z", 1), ("2026-11-26T06:59:00Z", 5)])
    func `a floor is asked for so early that instances are ready at the start`(at: String, expected: Int) throws {
        #expect(try count(daily("0 8 * * *", hours: 1), at: at, start: 60) == expected)
    }

    @Test func `a ceiling begins with the window and takes away at once`() throws {
        let window = try daily("0 8 * * *", hours: 1, floor: nil, ceiling: 2)
        #expect(try count(window, at: "2026-11-26T06:59:30Z", start: 60, from: 9) == 9)
        #expect(try count(window, at: "2026-11-26T07:00:00Z", start: 60, from: 9) == 2)
    }

    // In Berlin clocks went from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
    @Test(arguments: [("2026-03-29T00:59:59Z", 1), ("2026-03-29T01:00:00Z", 5), ("2026-03-29T01:29:59Z", 5), ("2026-03-29T01:30:00Z", 1)])
    func `a start in the hour that is left out comes when clocks go on`(at: String, expected: Int) throws {
        #expect(try count(daily("30 2 * * *", hours: 0.5), at: at) == expected)
    }

    @Test(arguments: [("2026-10-25T00:29:59Z", 1), ("2026-10-25T00:30:00Z", 5), ("2026-10-25T01:30:00Z", 1), ("2026-10-25T01:45:00Z", 1)])
    func `a start in the hour that comes twice comes once`(at: String, expected: Int) throws {
        #expect(try count(daily("30 2 * * *", hours: 0.5), at: at) == expected)
    }

    @Test(arguments: [
        ("*/15 9-10 * * *", "2026-11-26T09:50:00Z", "2026-11-26T10:00:00Z"), ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 12 1 * sun", "2026-11-02T00:00:00Z", "2026-11-08T12:00:00Z"),  // either day
        ("5,10 * * jan 7", "2026-11-26T00:00:00Z", "2027-01-03T00:05:00Z"),
    ])
    func `a schedule comes when crontab says`(text: String, after: String, expected: String) throws {
        #expect(try CronSchedule(text)?.next(after: time(after), in: .gmt) == time(expected))
    }

    @Test(arguments: ["", "* * * *", "60 * * * *", "* * 30 2 *", "1-0 * * * *", "a * * * *", "*/0 * * * *", "* * * * * *"])
    func `what is no schedule is none`(text: String) { #expect(CronSchedule(text) == nil) }

    @Test(arguments: [("2026-11-26T21:30:00Z", 5), ("2026-11-27T04:59:59Z", 5), ("2026-11-27T05:00:00Z", 1), ("2026-11-26T20:59:59Z", 1)])
    func `a daily window goes over midnight`(at: String, expected: Int) throws {
        let window = WindowCondition(times: .daily(start: 22 * 60, end: 6 * 60), zone: Self.berlin, floor: 5)
        #expect(try count(window, at: at) == expected)
    }

    @Test func `a floor never takes away what the queue asks for, and its end takes nothing but itself`() throws {
        let window = WindowCondition(times: .once(start: 1_000_100, end: 1_000_200), zone: .gmt, floor: 20)
        var policy = Given.policy([Given.queue(), .window(window)], start: 0)
        policy.downWindow = 30
        var fleet = Fleet(policy)
        var counts: [Int] = []
        for _ in 0..<20 { counts.append(fleet.poll(backlog: 0, arrivals: 40).desired) }
        #expect(counts[5] == 5)
        #expect(counts[6] == 20)
        #expect(counts[16] == 5)
    }

    @Test func `a deadline ramps its floor up before it and holds it for a while after`() {
        let rule = ParameterCondition.Rule.deadline(floor: 20, ramp: 3600, tail: 900)
        var policy = Given.policy([.parameter(ParameterCondition(name: "sale.ends", rule: rule))])
        policy.downWindow = 0
        func count(at offset: Seconds) -> Int {
            var state = PolicyState(policy)
            return state.decide(
                Observation(
                    time: 2_000_000 + offset, elapsed: 0, current: InstanceCount(desired: 1, ready: 1, starting: 0),
                    parameters: ["sale.ends": Reading(2_000_000)])
            ).desired
        }
        #expect([-3601, -1800, -1, 0, 899, 900].map(count) == [1, 10, 20, 20, 20, 1])
    }

    @Test func `an amount of the business asks for its share, unknown it holds`() {
        var fleet = Fleet(Given.policy([.parameter(ParameterCondition(name: "expected", rule: .amount(share: 500)))]))
        #expect(fleet.poll(backlog: nil, parameters: ["expected": Reading(2100)]).desired == 5)
        let held = fleet.poll(backlog: nil)
        #expect(held.desired == 5)
        #expect(held.outcome == .hold)
    }

    @Test func `a resource asks for as many as bring its share to what is wanted`() {
        var fleet = Fleet(Given.policy([.resource(ResourceCondition(name: "cpu", target: 0.6))]), count: 4)
        #expect(fleet.poll(backlog: nil, resources: ["cpu": Reading(0.9)]).desired == 6)
        #expect(fleet.poll(backlog: nil).outcome == .hold)
    }

    @Test func `a condition that fails holds, and does not lower what others ask for`() {
        let conditions = [Given.queue(), .resource(ResourceCondition(name: "cpu", target: 0.5))]
        var fleet = Fleet(Given.policy(conditions), count: 20)
        fleet.poll(backlog: 0, resources: ["cpu": Reading(0.5)])
        let decision = fleet.poll(backlog: 0, arrivals: 200)
        #expect(decision.desired == 24)
        #expect(decision.outcome == .up)
        #expect(decision.won == "queue")
        let counts = Set((0..<100).map { _ in fleet.poll(backlog: 0).desired })
        #expect(counts == [24])
    }
}
