import Autoscaler
import Lifecycle
import LocalBinder
import Locking
import ScalingControl
import Streams
import TestSupport
import Testing

/// One policy in the engine: what it decides, and what it orders.
struct EngineTests {
    let bench = Bench()
    let target = FakeTarget()

    /// With one instance in being, which is what the law wants while it does not know what comes.
    private func started(_ policy: ScalingPolicy = Bench.policy()) async throws -> ScalingEngine {
        if target.state.withLock({ $0.observation.count.desired == 0 }) {
            target.update { $0.observation.count = InstanceCount(desired: 1, ready: 1, starting: 0) }
        }
        let engine = bench.engine([(policy, target)])
        try await engine.open()
        return engine
    }

    /// A poll later, with so many messages waiting and so many that ever came.
    private func round(_ engine: ScalingEngine, backlog: Double, published: Double) async {
        bench.source.set("orders", backlog: backlog, published: published)
        await engine.round()
        bench.clock.advance(5)
    }

    @Test func aBacklogMakesItOrderInstancesAndAnEmptyQueueNone() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        await round(engine, backlog: 600, published: 600)
        let up = try #require(target.orders.last)
        #expect(up.count > 0 && up.count <= 40)
        #expect(up.term == 1)
        #expect(up.seq == 2)
        for _ in 0..<60 { await round(engine, backlog: 0, published: 600) }
        #expect(target.orders.last?.count == 0)
        let view = try engine.view(of: "orders")
        #expect(view.last?.desired == 0)
        #expect(view.backlog == 0)
    }

    @Test func whatIsUnknownHoldsTheCount() async throws {
        target.set(7)
        let engine = try await started()
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 600, published: 600)
        let before = target.orders.count
        bench.source.set("orders", .unknown("the broker does not answer; start it"))
        for _ in 0..<30 {
            await engine.round()
            bench.clock.advance(5)
        }
        #expect(target.orders.count == before)
        let view = try engine.view(of: "orders")
        #expect(view.last?.outcome == .hold)
        #expect(view.backlog == nil)
        #expect(view.alerts[.source] == "the broker does not answer; start it")
    }

    @Test func anOrchestratorThatIsAwayHoldsTheCount() async throws {
        let engine = try await started()
        target.update { $0.failure = TargetError(.unavailable, "it does not answer") }
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.isEmpty)
        #expect(try engine.view(of: "orders").last?.outcome == .hold)
        #expect(try engine.view(of: "orders").alerts[.target] == "it does not answer")
        target.update { $0.failure = nil }
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.count == 1)
        #expect(try engine.view(of: "orders").alerts[.target] == nil)
    }

    @Test func aCountSetBySomebodyElseIsNamedAndLeftForThatPoll() async throws {
        let engine = try await started()
        await round(engine, backlog: 100, published: 100)
        await round(engine, backlog: 100, published: 200)
        let orders = target.orders.count
        target.set(17)
        await round(engine, backlog: 100, published: 300)
        let found = try #require(try engine.view(of: "orders").last)
        #expect(found.current?.desired == 17)
        #expect(found.desired == 17)
        #expect(found.because.contains("somebody else set 17"))
        #expect(target.orders.count == orders)
        for _ in 0..<40 { await round(engine, backlog: 0, published: 300) }
        #expect(target.orders.last?.count == 0)
    }

    @Test func anOwnedTargetIsNotWrittenUntilItsOwnerIsGone() async throws {
        target.update { $0.observation.owner = "HorizontalPodAutoscaler shop/orders" }
        let engine = try await started()
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.isEmpty)
        let decision = try #require(try engine.view(of: "orders").last)
        #expect(decision.won == "owner")
        #expect(decision.outcome == .hold)
        #expect(decision.because.contains("HorizontalPodAutoscaler shop/orders"))
        target.update { $0.observation.owner = nil }
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.count == 1)
    }

    @Test func nothingIsOrderedWhileAChangeIsUnderWay() async throws {
        target.update { $0.observation.locked = "deployment 7 is under way" }
        let engine = try await started()
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.isEmpty)
        #expect(try engine.view(of: "orders").last?.because.contains("deployment 7 is under way") == true)
        target.update { $0.observation.locked = nil }
        await round(engine, backlog: 1200, published: 1200)
        #expect(target.orders.count == 1)
    }

    @Test func anOrderThatConflictsIsTriedAgainWhereTheCountIsTheSame() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        target.update { state in
            state.answers = [.success(.conflict("changed")), .success(.conflict("changed"))]
            state.onScale = { $0.observation.fence = "f\($0.orders.count)" }
        }
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.map(\.fence) == [nil, "f1", "f2"])
        #expect(Set(target.counts).count == 1)
        #expect(Set(target.orders.map(\.id)).count == 1)
    }

    @Test func anOrderThatConflictsWithAnotherCountIsLeftForThatPoll() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        target.update { state in
            state.answers = [.success(.conflict("changed"))]
            state.onScale = { if $0.orders.count == 1 { $0.observation.count = InstanceCount(desired: 3, ready: 3, starting: 0) } }
        }
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 1)
        #expect(try engine.view(of: "orders").result?.contains("somebody else set 3") == true)
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 1)
        #expect(try engine.view(of: "orders").last?.because.contains("somebody else set 3") == true)
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 2)
    }

    @Test func fourConflictsInARowGetThrough() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        target.update { $0.answers = (0..<4).map { .success(.conflict("write \($0)")) } }
        for _ in 0..<3 { await round(engine, backlog: 600, published: 600) }
        #expect(target.orders.count == 5)
        #expect(target.state.withLock { $0.observation.count.desired } > 0)
    }

    @Test func anOrchestratorThatAsksToWaitIsNotAskedBefore() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        target.update { $0.answers = [.success(.throttled(after: 12))] }
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 600, published: 600)
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 1)
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 2)
    }

    @Test func aRefusedOrderIsToldAndTriedAgainAtTheNextPoll() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        target.update { $0.answers = [.failure(TargetError(.rejected, "quota exceeded"))] }
        await round(engine, backlog: 600, published: 600)
        #expect(try engine.view(of: "orders").result?.contains("quota exceeded") == true)
        #expect(try engine.view(of: "orders").alerts[.target] == "quota exceeded")
        await round(engine, backlog: 600, published: 600)
        #expect(target.orders.count == 2)
        #expect(try engine.view(of: "orders").alerts[.target] == nil)
    }

    @Test func everyDecisionIsToldOnTheBusAndSoIsItsEffect() async throws {
        let engine = try await started()
        let told = Locked<[Envelope]>([])
        try await bench.binder.withSubscription(to: ScalingEvents.destination, group: nil, options: SubscriptionOptions()) { deliveries in
            await round(engine, backlog: 0, published: 0)
            await round(engine, backlog: 600, published: 600)
            for _ in 0..<3 {
                guard let delivery = try await deliveries.next() else { break }
                told.withLock { [envelope = delivery.envelope] in $0.append(envelope) }
                try await delivery.accept()
            }
        }
        let events = told.withLock { $0 }.map { ($0.headers["carillon-event"]?.text, String(decoding: $0.payload, as: UTF8.self)) }
        #expect(events.map(\.0) == ["autoscale.signal", "autoscale.signal", "autoscale.result"])
        #expect(events[1].1.contains("\"id\":\"orders/1/2\""))
        #expect(events[1].1.contains("\"mode\":\"live\""))
        #expect(events[2].1.contains("\"signal\":\"orders/1/2\""))
        #expect(events[2].1.contains("\"outcome\":\"applied\""))
    }

    @Test func whoSendsSignalsOnTheBusStartsNothing() async throws {
        let engine = try await started()
        await round(engine, backlog: 0, published: 0)
        let forged = Envelope(
            payload: Array(
                #"{"type":"autoscale.signal","mode":"live","term":99,"seq":9,"time":"2026-11-26T08:00:00Z","elapsed":1,"policy":"orders","current":null,"desired":30,"outcome":"up","inputs":{}}"#
                    .utf8), headers: ["carillon-event": "autoscale.signal", "carillon-server": "evil"])
        await engine.take(forged)
        await round(engine, backlog: 0, published: 0)
        #expect(target.orders.isEmpty)
        #expect(try engine.view(of: "orders").last?.seq == 2)
    }
}
