import Autoscaler
import HTTP
import JSON
import Locking
import ScalingControl
import ScalingFormats
import TestSupport
import Testing

/// What operators ask and want, over HTTP.
struct OperatingTests {
    let bench = Bench()
    let target = FakeTarget()

    private func started(_ policy: ScalingPolicy = Bench.policy(), shadow: ScalingPolicy? = nil) async throws -> (ScalingEngine, Router) {
        target.set(1)
        let engine = bench.engine([(policy, target)], shadows: shadow.map { [policy.name: $0] } ?? [:])
        try await engine.open()
        return (engine, ScalingRoutes(engine).router)
    }

    private func round(_ engine: ScalingEngine, backlog: Double, published: Double) async {
        bench.source.set("orders", backlog: backlog, published: published)
        await engine.round()
        bench.clock.advance(5)
    }

    private func ask(_ router: Router, _ method: String, _ path: String, _ body: String = "") async throws -> (Int, JSONValue) {
        let request = try #require(HTTPRequest(method, path, body: Array(body.utf8)))
        let response = await router.respond(to: request)
        return (response.status, try JSONReader.read(response.bytes ?? []))
    }

    @Test func theListTellsWhatThereIs() async throws {
        let (engine, router) = try await started()
        await round(engine, backlog: 100, published: 100)
        let (status, list) = try await ask(router, "GET", "/scaling")
        #expect(status == 200)
        let names = list.items[0].members.map(\.name)
        #expect(
            names.sorted()
                == ["policy", "target", "min", "max", "backlog", "oldest", "desired", "ready", "starting", "outcome", "held"].sorted())
        #expect(list.items[0]["backlog"]?.integer == 100)
        #expect(list.items[0]["oldest"] == .null)
        #expect(list.items[0]["held"] == .null)
    }

    @Test func onePolicyIsItsDecisionAndWhatThereIs() async throws {
        let (engine, router) = try await started()
        await round(engine, backlog: 100, published: 100)
        await round(engine, backlog: 900, published: 900)
        let (_, value) = try await ask(router, "GET", "/scaling/orders")
        let decision = try DecisionJSON.read(value)
        #expect(decision == (try engine.view(of: "orders").last))
        #expect(value["result"]?["outcome"]?.string == "applied")
        #expect(value["backlog"]?.integer == 900)
        #expect(value.members.filter { $0.name == "policy" }.count == 1)
        let (_, past) = try await ask(router, "GET", "/scaling/orders?at=\(TimeText.render(decision.time - 1))")
        #expect(try DecisionJSON.read(past).seq == 1)
        let (missing, text) = try await ask(router, "GET", "/scaling/orders?at=\(TimeText.render(decision.time - 100))")
        #expect(missing == 404)
        #expect(text["message"]?.string?.contains("nothing was decided") == true)
    }

    @Test func anUnknownPolicyIsToldWithTheNearestOne() async throws {
        let (_, router) = try await started()
        let (status, value) = try await ask(router, "GET", "/scaling/order")
        #expect(status == 404)
        #expect(value["message"]?.string == "there is no policy `order`; did you mean `orders`?")
    }

    @Test func aHeldPolicyChangesNothingUntilItsTimeIsOver() async throws {
        let (engine, router) = try await started()
        await round(engine, backlog: 0, published: 0)
        let (status, answer) = try await ask(router, "POST", "/scaling/orders/hold", #"{"until": "1m"}"#)
        #expect(status == 200)
        #expect(answer["held"]?["kind"]?.string == "hold")
        for step in 1...11 { await round(engine, backlog: 900, published: Double(step * 900)) }
        #expect(target.orders.isEmpty)
        let held = try #require(try engine.view(of: "orders").last)
        #expect(held.won == "hold")
        #expect(held.outcome == .hold)
        #expect(held.because.contains("an operator holds it"))
        for step in 12...14 { await round(engine, backlog: 900, published: Double(step * 900)) }
        #expect(!target.orders.isEmpty)
        #expect(try engine.view(of: "orders").override == nil)
    }

    @Test func aSetCountIsBroughtWithinThePolicyAndSaidSo() async throws {
        let (engine, router) = try await started()
        await round(engine, backlog: 0, published: 0)
        let (_, answer) = try await ask(router, "POST", "/scaling/orders/set", #"{"count": 100, "until": "1h"}"#)
        #expect(answer["held"]?["count"]?.integer == 40)
        #expect(answer["message"]?.string?.contains("100 is outside what the policy allows, 0 to 40: set to 40") == true)
        // At once, not at the next poll.
        #expect(target.orders.last?.count == 40)
        #expect(try engine.view(of: "orders").last?.won == "set")
        let (_, resumed) = try await ask(router, "POST", "/scaling/orders/resume")
        #expect(resumed["held"] == .null)
        for _ in 0..<40 { await round(engine, backlog: 0, published: 0) }
        #expect(target.orders.last?.count == 0)
    }

    @Test(arguments: [
        ("/scaling/orders/hold", "", 400, "until"), ("/scaling/orders/hold", #"{"until":"soon"}"#, 400, "soon"),
        ("/scaling/orders/hold", #"{"until":"2020-01-01T00:00:00Z"}"#, 400, "to come"),
        ("/scaling/orders/set", #"{"until":"2h"}"#, 400, "count"),
        ("/scaling/orders/set", #"{"count":-1,"until":"2h"}"#, 400, "count"), ("/scaling/orders/set", "nonsense", 400, "JSON"),
        ("/scaling/orders/set", #"{"count":1}"#, 400, "until"), ("/scaling/nobody/resume", "", 404, "nobody"),
    ]) func whatCannotBeUsedIsRefused(path: String, body: String, status: Int, word: String) async throws {
        let (_, router) = try await started()
        let (answered, value) = try await ask(router, "POST", path, body)
        #expect(answered == status)
        #expect(value["message"]?.string?.contains(word) == true)
    }

    @Test func anOverrideOutlivesTheServer() async throws {
        try await withTemporaryFolder { folder in
            target.set(1)
            do {
                let engine = bench.engine([(Bench.policy(), target)], ledger: folder)
                try await engine.open()
                await round(engine, backlog: 0, published: 0)
                try await engine.override("orders", Override(.set(7), until: bench.clock.now + 600))
            }
            let engine = bench.engine([(Bench.policy(), target)], ledger: folder)
            try await eventually("the ledger is free") { (try? await engine.open()) != nil }
            #expect(try engine.view(of: "orders").override?.count == 7)
            await round(engine, backlog: 0, published: 0)
            #expect(try engine.view(of: "orders").last?.desired == 7)
        }
    }

    @Test func decisionsOfATimeAreListed() async throws {
        let (engine, router) = try await started()
        for step in 0..<20 { await round(engine, backlog: 0, published: Double(step)) }
        let (_, list) = try await ask(router, "GET", "/scaling/orders/decisions?from=1m&limit=5")
        #expect(list.items.map { $0["seq"]?.integer } == [16, 17, 18, 19, 20])
    }

    @Test func aShadowDecidesBesideAndTellsItsRegret() async throws {
        var shadow = Bench.policy()
        shadow.minimum = 5
        shadow.name = "orders-shadow"
        let (engine, router) = try await started(Bench.policy(), shadow: shadow)
        for step in 0..<60 { await round(engine, backlog: 0, published: Double(step / 30)) }
        let (_, value) = try await ask(router, "GET", "/scaling/orders")
        #expect(value["shadow"]?["policy"]?.string == "orders-shadow")
        #expect(value["shadow"]?["decision"]?["desired"]?.integer == 5)
        #expect(target.state.withLock { $0.observation.count.desired } <= 1)
        let report = try #require(try engine.view(of: "orders").shadow?.report)
        #expect(report.time > 200)
        #expect(report.shadowCost > report.liveCost)
        #expect(report.regret < 0)
    }
}
