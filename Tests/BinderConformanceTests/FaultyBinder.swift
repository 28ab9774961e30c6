import Lifecycle
import Locking
import Streams

/// What a binder may do wrong.
enum Fault: String, CaseIterable, Sendable {
    case losesOne, sendsTwice, swapsTwo, corruptsPayloads, changesHeaders, addsHeader, dropsKeys, takesAnySize
    case acceptsEarly, forgetsAcceptance, keepsNoDeadLetters, forgetsDelays, countsNoAttempts, ignoresPrefetch, dropsWhatIsInHand
    case sharesNothing, mixesDestinations, isReadyTooEarly, ignoresStart, publishesAfterTheEnd
    case saysNoEnd, liesAboutBacklog, replaysToAll, forgetsTrace
    case hangs
    // Of connections:
    case claimsSuccess, confirmsEarly, hidesInterruptions, saysAlwaysReady
}

/// A binder that works but for one fault: the conformance suite must find it.
final class FaultyBinder: Binder, BacklogReporting, DeadLetterKeeping {
    private struct State {
        var published = 0
        var hasEnded = false
    }
    let fault: Fault
    private let inner: any Binder & BacklogReporting & DeadLetterKeeping
    private let state = Locked(State())
    var name: String { "faulty \(inner.name)" }
    var capabilities: BinderCapabilities { inner.capabilities }

    init(_ fault: Fault, over inner: any Binder & BacklogReporting & DeadLetterKeeping) {
        self.fault = fault
        self.inner = inner
    }

    var readiness: Readiness {
        if fault == .saysAlwaysReady { return .ready }
        if fault == .saysNoEnd, case .waiting = inner.readiness { return .ready }
        return inner.readiness
    }

    func run(_ life: ServiceLife) async throws {
        try await inner.run(life)
        state.withLock { $0.hasEnded = true }
    }

    func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        let (number, hasEnded) = state.withLock { state in
            state.published += 1
            return (state.published, state.hasEnded)
        }
        var envelope = envelope
        switch fault {
        case .losesOne where number.isMultiple(of: 100): return PublishReceipt(id: envelope.id)
        case .sendsTwice where number.isMultiple(of: 100): _ = try await inner.publish(envelope, to: destination)
        case .changesHeaders:
            envelope.headers = Dictionary(envelope.headers.map { ($0.lowercased(), $1) }, uniquingKeysWith: { $1 })
        case .addsHeader: envelope.headers["internal"] = "x"
        case .dropsKeys: envelope.key = nil
        case .corruptsPayloads where envelope.payload.count > 200: envelope.payload[200] ^= 1
        case .forgetsTrace: envelope.headers["traceparent"] = nil
        case .takesAnySize where envelope.payload.count > 1 << 20: return PublishReceipt(id: envelope.id)
        case .publishesAfterTheEnd where hasEnded: return PublishReceipt(id: envelope.id)
        case .mixesDestinations where number.isMultiple(of: 10):
            if let other = try? Destination(String(destination.name.dropLast()) + "3") { _ = try? await inner.publish(envelope, to: other) }
        case .confirmsEarly:
            let sent = envelope
            Task { [inner] in _ = try? await inner.publish(sent, to: destination) }
            return PublishReceipt(id: envelope.id)
        case .claimsSuccess:
            do { return try await inner.publish(envelope, to: destination) } catch { return PublishReceipt(id: envelope.id) }
        case .hangs: await Task { try? await Task.sleep(for: .seconds(20)) }.value  // also when it is cancelled
        default: break
        }
        return try await inner.publish(envelope, to: destination)
    }

    func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        try await inner.prepare(group: group, of: destination)
    }

    func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions, _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        var options = options
        var group = group
        switch fault {
        case .ignoresPrefetch: options.prefetch = 100
        case .ignoresStart: options.start = .latest
        case .keepsNoDeadLetters: options.deadLetters = false
        case .sharesNothing: if group != nil { group = try ConsumerGroup(Identifier.random()) }
        case .hidesInterruptions:
            let told = options.events
            options.events = { if case .interrupted = $0 {} else { told($0) } }
        case .isReadyTooEarly:
            let told = options.events
            told(.ready)
            options.events = { if $0 != .ready { told($0) } }
            try await Task.sleep(for: .milliseconds(50))
        default: break
        }
        return try await inner.withSubscription(to: destination, group: group, options: options) { deliveries in
            var faulty = Deliveries(FaultySource(fault, over: deliveries.source))
            return try await body(&faulty)
        }
    }

    func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        var backlog = try await inner.backlog(of: destination, group: group)
        if fault == .liesAboutBacklog { backlog.ready = max(0, backlog.ready - 1) }
        return backlog
    }

    func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        try await inner.deadLetters(of: destination, group: group, limit: limit)
    }

    func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        if fault == .replaysToAll {
            let letters = try await inner.deadLetters(of: destination, group: group, limit: 100)
            for letter in letters { _ = try await inner.publish(letter.envelope, to: destination) }
            return try await inner.drop(ids, of: destination, group: group)
        }
        return try await inner.replay(ids, of: destination, group: group)
    }

    func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await inner.drop(ids, of: destination, group: group)
    }
}

private final class FaultySource: DeliverySource {
    private let fault: Fault
    private let inner: any DeliverySource
    private let state = Locked<(count: Int, held: ReceivedEnvelope?)>((0, nil))

    init(_ fault: Fault, over inner: any DeliverySource) {
        self.fault = fault
        self.inner = inner
    }

    func next() async throws(BinderError) -> ReceivedEnvelope? {
        let held = state.withLock { state in
            defer { state.held = nil }
            return state.held
        }
        if let held { return held }
        guard var received = try await inner.next() else { return nil }
        let count = state.withLock { state in
            state.count += 1
            return state.count
        }
        switch fault {
        case .swapsTwo where count.isMultiple(of: 7):
            let second = try await inner.next()
            let first = received
            if second != nil { state.withLock { $0.held = first } }
            return second ?? first
        case .acceptsEarly:
            try await received.settlement.settle(.accept)
            received.settlement = NoSettlement()
        case .countsNoAttempts: received.attempt = 1
        case .forgetsAcceptance, .forgetsDelays, .dropsWhatIsInHand:
            received.settlement = FaultySettlement(fault: fault, inner: received.settlement)
        default: break
        }
        return received
    }
}

private struct NoSettlement: DeliverySettlement {
    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {}
    func abandon() {}
}

private struct FaultySettlement: DeliverySettlement {
    let fault: Fault
    let inner: any DeliverySettlement

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {
        switch (fault, outcome) {
        case (.forgetsAcceptance, .accept): return
        case (.forgetsDelays, .retry): try await inner.settle(.retry(after: .zero))
        default: try await inner.settle(outcome)
        }
    }

    func abandon() {
        guard fault == .dropsWhatIsInHand else { return inner.abandon() }
        Task { [inner] in try? await inner.settle(.accept) }
    }
}
