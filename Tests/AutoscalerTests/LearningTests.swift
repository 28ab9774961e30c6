import Autoscaler
import Testing

/// What instances really do is seen, and counts more the more is seen.
@Suite struct LearningTests {
    private func run(rate: Double? = nil, start: Seconds? = nil) -> [Decision] {
        let history = History(rows: [
            History.Row(time: 0, published: 0), History.Row(time: 600, published: 60_000), History.Row(time: 601, published: 160_000),
            History.Row(time: 3600, published: 460_000),
        ])
        return Simulation(Given.policy(), history: history, rate: rate, start: start).run().decisions
    }

    @Test func `the rate of a busy instance is learned from times in which all were busy`() throws {
        let decisions = run(rate: 6)
        let first = try #require(decisions.first?.input("rate"))
        #expect(first.value == 10)
        #expect(first.confidence == 0)
        let last = try #require(decisions.last?.input("rate"))
        #expect(try abs(#require(last.value) - 6) < 1)
        #expect(try #require(last.confidence) > 0.7)
    }

    @Test func `without a backlog nothing is learned of the rate`() {
        let history = History(rows: [History.Row(time: 0, published: 0), History.Row(time: 3600, published: 3600)])
        let decisions = Simulation(Given.policy(minimum: 5), history: history, rate: 20).run().decisions
        #expect(decisions.last?.input("rate")?.confidence == 0)
    }

    @Test func `the time from order to ready is learned from orders`() throws {
        let last = try #require(run(start: 120).last?.input("start"))
        #expect(try #require(last.value) > 70)
        #expect(try #require(last.value) <= 135)
        #expect(try #require(last.confidence) > 0)
    }
}
