import Lifecycle
import LocalBinder
import Locking
import Streams
import Telemetry
import TestSupport
import Testing

@testable import Functions

/// A worker that a server is about to end.
struct DrainTests {
    private let destination = Destination(fixed: "carillon.scaling.reports")

    @Test func aWorkerThatIsToldToDrainEndsWhatItHasInHandAndSaysSo() async throws {
        let binder = LocalBinder()
        let bindings = Bindings()
        let (began, end) = (ShutdownSignal(), ShutdownSignal())
        let done = Locked<[String]>([])
        let orders = Destination(fixed: "orders")
        let group = try ConsumerGroup("workers")
        let consumer = Consumer(destination: orders, group: group) { event in
            began.request()
            await end.wait()
            done.withLock { $0.append(String(decoding: event.envelope.payload, as: UTF8.self)) }
        }
        try bindings.add("orders-in-0", consumer, over: binder)
        let answer = try #require(
            DrainAnswer(
                environment: ["CARILLON_POLICY": "orders", "CARILLON_INSTANCE": "orders-1"], binder: binder, bindings: bindings,
                log: .silent))
        try await binder.prepare(group: group, of: orders)
        _ = try await binder.publish(Envelope(text: "one"), to: orders)
        let life = ServiceLife()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await bindings.run(life) }
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
                tasks.addTask { try await answer.run(life) }
                func next() async throws -> String {
                    guard let delivery = try await deliveries.next() else { return "" }
                    let text = String(decoding: delivery.envelope.payload, as: UTF8.self)
                    try await delivery.accept()
                    return text
                }
                #expect(try await next() == #"{"type":"autoscale.report","policy":"orders","drains":true,"instance":"orders-1"}"#)
                await began.wait()
                let request = #"{"type":"autoscale.drain","policy":"orders","instances":["orders-1"]}"#
                _ = try await binder.publish(Envelope(text: request), to: destination)
                #expect(try await next() == request)
                _ = try await binder.publish(Envelope(text: "two"), to: orders)
                try await eventually("it takes nothing more") { bindings.views.first?.state == .stopped }
                #expect(done.withLock { $0 }.isEmpty)
                end.request()
                #expect(try await next() == #"{"type":"autoscale.drained","instance":"orders-1"}"#)
            }
            #expect(done.withLock { $0 } == ["one"])
            #expect(try await binder.backlog(of: orders, group: group).ready == 1)
            life.shutdown.request()
            try await tasks.waitForAll()
        }
    }

    @Test func onlyTheWorkerThatIsNamedIsMeant() {
        func envelope(_ text: String) -> Envelope { Envelope(text: text) }
        #expect(DrainAnswer.isMeant("a-1", by: envelope(#"{"type":"autoscale.drain","instances":["a-2","a-1"]}"#)))
        for text in [#"{"type":"autoscale.drain","instances":["a-11"]}"#, #"{"type":"autoscale.report","instances":["a-1"]}"#, "x", "[]"] {
            #expect(!DrainAnswer.isMeant("a-1", by: envelope(text)))
        }
    }

    @Test func aProcessThatNoServerRunsTakesNoPart() {
        #expect(DrainAnswer(environment: [:], binder: LocalBinder(), bindings: Bindings(), log: .silent) == nil)
    }
}
