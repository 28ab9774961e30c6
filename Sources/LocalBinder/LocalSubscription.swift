package import Streams

/// One member of a group, or one broadcast subscription: pulls from the broker what is next.
package final class LocalSubscription: DeliverySource {
    private let binder: LocalBinder
    let seat: LocalBroker.Seat
    let options: SubscriptionOptions
    /// Nil for a broadcast subscription.
    let group: ConsumerGroup?

    init(binder: LocalBinder, seat: LocalBroker.Seat, group: ConsumerGroup?, options: SubscriptionOptions) {
        self.binder = binder
        self.seat = seat
        self.group = group
        self.options = options
    }

    package func next() async throws(BinderError) -> ReceivedEnvelope? {
        while true {
            guard !Task.isCancelled else { throw BinderError(.cancelled, "waiting for a delivery was cancelled") }
            switch await binder.next(of: self) {
            case .ended: return nil
            case .cancelled: throw BinderError(.cancelled, "waiting for a delivery was cancelled")
            case .handOut(let handOut):
                if handOut.gap { options.events(.gap) }
                guard let stored = try await binder.load(handOut, for: self) else { continue }
                return ReceivedEnvelope(
                    envelope: stored.envelope, attempt: handOut.attempt, position: binder.text(of: handOut.position),
                    settlement: LocalSettlement(subscription: self, position: handOut.position, attempt: handOut.attempt))
            }
        }
    }

    func settle(_ position: UInt64, attempt: Int, _ outcome: DeliveryOutcome) async throws(BinderError) {
        try await binder.settle(position, attempt: attempt, outcome, for: self)
    }

    func abandon(_ position: UInt64, attempt: Int, seen: Bool) { binder.abandon(position, attempt: attempt, seen: seen, for: self) }
}

struct LocalSettlement: DeliverySettlement {
    let subscription: LocalSubscription
    let position: UInt64
    let attempt: Int

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) { try await subscription.settle(position, attempt: attempt, outcome) }
    func abandon() { subscription.abandon(position, attempt: attempt, seen: true) }
    func release() { subscription.abandon(position, attempt: attempt, seen: false) }
}
