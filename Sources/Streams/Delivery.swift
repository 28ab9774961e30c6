package import Lifecycle

/// The deliveries of one subscription: pulled one by one, so that the broker's prefetch is the only buffer.
public struct Deliveries: ~Copyable {
    /// For a binder that wraps another.
    package let source: any DeliverySource
    package init(_ source: any DeliverySource) { self.source = source }

    /// Waits for the next delivery. Nil when the subscription has ended because the binder is shutting down. Throws `.cancelled` when the
    /// task is cancelled; no delivery is lost by it.
    public mutating func next() async throws(BinderError) -> Delivery? {
        guard let received = try await source.next() else { return nil }
        return Delivery(received)
    }

    /// As `next()`, and nil when `shutdown` is asked for while nothing has come.
    package mutating func next(until shutdown: ShutdownSignal) async throws(BinderError) -> Delivery? {
        if shutdown.isRequested { return nil }  // what waits is left to the other members of the group
        let source = source
        let result = await withTaskGroup(of: Result<ReceivedEnvelope?, BinderError>?.self) { group in
            group.addTask {
                do throws(BinderError) { return .success(try await source.next()) } catch { return .failure(error) }
            }
            group.addTask {
                await shutdown.wait()
                return nil
            }
            var result = await group.next() ?? nil
            group.cancelAll()
            // Whoever was second ends now; a delivery that came in the last moment is handed out all the same.
            if let second = await group.next() ?? nil, result == nil { result = second }
            return result
        }
        switch result {
        case .success(let received?): return Delivery(received)
        case .success(nil), nil: return nil
        case .failure(let error):
            if error.code == .cancelled, shutdown.isRequested, !Task.isCancelled { return nil }
            throw error
        }
    }
}

/// What a binder implements to hand out deliveries; one caller at a time.
package protocol DeliverySource: AnyObject, Sendable {
    func next() async throws(BinderError) -> ReceivedEnvelope?
}

/// What a binder hands out.
package struct ReceivedEnvelope: Sendable {
    package var envelope: Envelope
    /// 1 for the first delivery of an event to this group.
    package var attempt: Int
    /// Where the event stands on the broker, usable as `StartPosition.after`.
    package var position: String?
    package var settlement: any DeliverySettlement

    package init(envelope: Envelope, attempt: Int, position: String?, settlement: any DeliverySettlement) {
        self.envelope = envelope
        self.attempt = attempt
        self.position = position
        self.settlement = settlement
    }
}

/// How a delivery ends. `settle` is called at most once by `Delivery`, or `abandon` instead.
package protocol DeliverySettlement: Sendable {
    /// Returns when the broker has been told (and, where it confirms, has confirmed).
    func settle(_ outcome: DeliveryOutcome) async throws(BinderError)
    /// The delivery was dropped unsettled: counts as a retry at once. Must not block.
    func abandon()
    /// Nobody has seen the delivery: it goes back without counting as an attempt, where the broker can tell. Must not block.
    func release()
}

extension DeliverySettlement {
    package func release() { abandon() }
}

public enum DeliveryOutcome: Sendable, Hashable {
    /// Done: never delivered to this group again.
    case accept
    /// Deliver again to the group, after this time; other deliveries are not held up by it.
    case retry(after: Duration)
    /// Never deliver again; kept as a dead letter where the subscription asks for it.
    case reject(FailureReason)
}

/// Why a delivery was given up; goes into the dead letter's headers.
public struct FailureReason: Sendable, Hashable {
    public var message: String
    /// The error's type.
    public var kind: String
    public init(message: String, kind: String = "error") {
        self.message = message
        self.kind = kind
    }
}

/// An envelope received, with its acknowledgement. Settle it exactly once; dropped unsettled it counts as a retry.
public struct Delivery: ~Copyable, Sendable {
    private let received: ReceivedEnvelope
    private var settled = false

    package init(_ received: ReceivedEnvelope) { self.received = received }

    deinit { if !settled { received.settlement.abandon() } }

    public var envelope: Envelope { received.envelope }
    /// 1 for the first delivery of this event to the group; on brokers that do not count, 2 for every later one.
    public var attempt: Int { received.attempt }
    /// Usable as `StartPosition.after`; nil where the broker has none.
    public var position: String? { received.position }

    /// The event is done. Throws when the broker could not be told: it will deliver the event again.
    public consuming func accept() async throws(BinderError) { try await settle(.accept) }
    public consuming func retry(after delay: Duration = .zero) async throws(BinderError) { try await settle(.retry(after: delay)) }
    public consuming func reject(_ reason: FailureReason) async throws(BinderError) { try await settle(.reject(reason)) }

    /// Gives the parts away: whoever takes the settlement must settle or abandon it exactly once.
    package consuming func take() -> ReceivedEnvelope {
        settled = true
        return received
    }

    public consuming func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {
        settled = true
        try await received.settlement.settle(outcome)
    }
}
