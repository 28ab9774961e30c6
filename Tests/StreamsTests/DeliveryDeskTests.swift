import BinderConformance
import Streams
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeliveryDeskTests {
    private struct Ignoring: DeliverySettlement {
        func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {}
        func abandon() {}
        func release() {}
    }
    private let desk: DeliveryDesk

    init() throws { desk = DeliveryDesk(try Destination("orders"), of: "Broker") }

    private func delivery(_ text: String) -> ReceivedEnvelope {
        ReceivedEnvelope(envelope: Envelope(text: text), attempt: 1, position: nil, settlement: Ignoring())
    }

    private func text(_ delivery: ReceivedEnvelope?) -> String? { delivery.map { String(decoding: $0.envelope.payload, as: UTF8.self) } }

    private func code(_ body: () async throws -> Void) async -> BinderError.Code? {
        do { try await body() } catch { return (error as? BinderError)?.code }
        return nil
    }

    @Test func `deliveries are taken in order, whoever comes first`() async throws {
        let desk = desk
        let early = Task { try await desk.next() }
        try await eventually("both") {
            desk.put([delivery("a"), delivery("b")])
            return text(try await early.value) == "a"
        }
        #expect(text(try await desk.next()) == "b")
    }

    @Test func `who waits for the position is told when it stands, and readiness says why it does not`() async throws {
        let desk = desk
        let waiting = Task { try await desk.positioned() }
        guard case .waiting(let reason) = desk.readiness else { return #expect(Bool(false), "ready too early") }
        #expect(reason.contains("orders") && reason.contains("not connected to Broker yet"))
        #expect(desk.interrupt("refused") == false, "nothing stood that could be interrupted")
        desk.ready()
        try await waiting.value
        #expect(desk.readiness.isReady)
        #expect(desk.interrupt("reset") == true)
        #expect(desk.interrupt("reset again") == false)
        #expect(!desk.readiness.isReady)
    }

    @Test func `a cancelled wait ends at once, and takes nothing`() async throws {
        let desk = desk
        let (positioned, next) = (Task { try await desk.positioned() }, Task { try await desk.next() })
        positioned.cancel()
        next.cancel()
        #expect(await code { try await positioned.value } == .cancelled)
        #expect(await code { _ = try await next.value } == .cancelled)
        desk.put([delivery("a")])
        #expect(text(try await desk.next()) == "a")
    }

    @Test func `what was discarded is not handed out, and a failure reaches all that wait`() async throws {
        let desk = desk
        desk.put([delivery("lost with its connection")])
        desk.discard()
        let (positioned, next) = (Task { try await desk.positioned() }, Task { try await desk.next() })
        desk.fail(BinderError(.conflict, "no"))
        #expect(await code { try await positioned.value } == .conflict)
        #expect(await code { _ = try await next.value } == .conflict)
        #expect(!desk.readiness.isReady)
    }

    @Test func `the end gives back what nobody has seen, and no failure comes behind it`() async throws {
        let desk = desk
        desk.put([delivery("a"), delivery("b")])
        var untaken = desk.drain()
        #expect(text(untaken.popFirst()) == "a" && text(untaken.popFirst()) == "b" && untaken.isEmpty)
        desk.fail(BinderError(.conflict, "late"))
        #expect(try await desk.next() == nil)
        #expect(await code { try await desk.positioned() } == .closed)
        desk.close()
        desk.ready()
        #expect(try await desk.next() == nil)
    }
}
