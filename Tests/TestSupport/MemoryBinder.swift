package import Lifecycle
import Locking
package import Streams

/// A broker in memory that does the least a bus needs: broadcast, in order, with switches for what can go wrong.
package final class MemoryBinder: Binder {
    private final class Subscription: DeliverySource {
        private struct State {
            var waiting: [Envelope] = []
            var waiter: CheckedContinuation<Envelope?, Never>?
        }
        private let state = Locked(State())

        func push(_ envelope: Envelope) {
            state.withLock { state in
                guard let waiter = state.waiter else {
                    state.waiting.append(envelope)
                    return CheckedContinuation<Envelope?, Never>?.none
                }
                state.waiter = nil
                return waiter
            }?.resume(returning: envelope)
        }

        func next() async throws(BinderError) -> ReceivedEnvelope? {
            let envelope = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state -> Envelope?? in
                        if !state.waiting.isEmpty { return .some(state.waiting.removeFirst()) }
                        if Task.isCancelled { return .some(nil) }
                        state.waiter = continuation
                        return .none
                    }
                    if let now { continuation.resume(returning: now) }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume(returning: nil)
            }
            guard let envelope else { throw BinderError(.cancelled, "cancelled") }
            return ReceivedEnvelope(envelope: envelope, attempt: 1, position: nil, settlement: NoSettlement())
        }
    }

    private struct NoSettlement: DeliverySettlement {
        func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {}
        func abandon() {}
    }

    private struct State {
        var subscriptions: [ObjectIdentifier: (Subscription, SubscriptionOptions)] = [:]
        var published: [Envelope] = []
        var failure: BinderError?
        var isStalled = false
    }
    private let state = Locked(State())
    package let name = "memory"

    package init() {}

    package var capabilities: BinderCapabilities { [.broadcast, .orderGlobal] }
    package var readiness: Readiness { state.withLock { $0.isStalled } ? .waiting("no connection to memory") : .ready }

    /// All that was published, in order.
    package var published: [Envelope] { state.withLock { $0.published } }
    package var subscriberCount: Int { state.withLock { $0.subscriptions.count } }

    package func fail(with error: BinderError?) { state.withLock { $0.failure = error } }

    /// From now on publishers wait until they are cancelled, as with a broker that is away.
    package func stall() { state.withLock { $0.isStalled = true } }

    /// Hands an envelope to all subscribers as if a peer had published it.
    package func inject(_ envelope: Envelope) {
        for (subscription, _) in state.withLock({ Array($0.subscriptions.values) }) { subscription.push(envelope) }
    }

    package func tell(_ event: SubscriptionEvent) {
        for (_, options) in state.withLock({ Array($0.subscriptions.values) }) { options.events(event) }
    }

    package func run(_ life: ServiceLife) async throws {
        life.started()
        await life.untilShutdown()
    }

    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        if state.withLock({ $0.isStalled }) {
            do { try await Task.sleep(for: .seconds(600)) } catch { throw BinderError(.cancelled, "the publish was cancelled") }
        }
        let failure = state.withLock { state in
            if state.failure == nil { state.published.append(envelope) }
            return state.failure
        }
        if let failure { throw failure }
        inject(envelope)
        return PublishReceipt(id: envelope.id)
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions, _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        let subscription = Subscription()
        let key = ObjectIdentifier(subscription)
        state.withLock { $0.subscriptions[key] = (subscription, options) }
        defer { state.withLock { $0.subscriptions[key] = nil } }
        var deliveries = Deliveries(subscription)
        return try await body(&deliveries)
    }

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {}
}
