import Autoscaler
import Foundation
import Testing

/// What stands above all conditions, and what a policy remembers as bytes.
@Suite struct StandingTests {
    private func decide(_ standing: Standing?, count: Int = 5, backlog: Double = 5000) -> Decision {
        var state = PolicyState(Given.policy(minimum: 2, maximum: 40))
        return state.decide(
            Observation(
                time: 1000, elapsed: 0, current: InstanceCount(desired: count, ready: count, starting: 0),
                queues: [Given.reading(backlog, published: backlog)], standing: standing))
    }

    @Test func `an owner, a lock and an operator who holds leave the count as it is`() {
        for (standing, won, word) in [
            (Standing.owned("HPA shop/orders"), "owner", "HPA shop/orders"), (.locked("deployment 7"), "locked", "deployment 7"),
            (.held(until: 1600), "hold", "another 10m"),
        ] {
            let decision = decide(standing)
            #expect(decision.desired == 5)
            #expect(decision.outcome == .hold)
            #expect(decision.won == won)
            #expect(decision.because.contains(word))
            #expect(decision.standing == standing)
        }
        #expect(decide(nil).outcome == .up)
    }

    @Test func `an operator's count is within what the policy allows`() {
        #expect(decide(.set(7, until: 1600)).desired == 7)
        #expect(decide(.set(7, until: 1600)).won == "set")
        #expect(decide(.set(99, until: 1600)).desired == 40)
        #expect(decide(.set(0, until: 1600), backlog: 0).desired == 2)
        #expect(decide(.set(5, until: 1600)).outcome == .same)
    }

    @Test func `a state written down and read again decides as the one that was not`() throws {
        var fleet = Fleet(
            Given.policy([
                Given.queue(), .forecast(ForecastCondition(season: 600)), .resource(ResourceCondition(name: "cpu", target: 0.6)),
                .window(WindowCondition(times: .daily(start: 540, end: 1020), zone: .gmt, floor: 3)),
            ]))
        for step in 0..<120 {
            fleet.poll(
                backlog: step % 13 == 0 ? nil : Double(step * 31 % 700), arrivals: Double(step % 40),
                resources: ["cpu": Reading(Double(step % 10) / 9)])
            let read = try JSONDecoder().decode(PolicyState.self, from: JSONEncoder().encode(fleet.state))
            #expect(read == fleet.state)
        }
    }
}
