internal import Lifecycle
internal import Locking
internal import Streams

/// Whether a subscription stands on the server, told to its owner once for each change.
final class SubscriptionState: Sendable {
    private struct State {
        var isReady = false
        var wasReady = false
        var reason = "connecting"
        var refusal: BinderError?
    }
    private let state = Locked(State())
    private let settled = ShutdownSignal()
    private let events: @Sendable (SubscriptionEvent) -> Void

    init(_ events: @escaping @Sendable (SubscriptionEvent) -> Void) { self.events = events }

    var readiness: Readiness { state.withLock { $0.isReady ? .ready : .waiting($0.reason) } }

    /// Waits until the subscription stands for the first time. Throws why it was refused, or `.cancelled`.
    func established(_ server: String) async throws(BinderError) {
        await settled.wait()
        if let refusal = state.withLock({ $0.refusal }) { throw refusal }
        guard state.withLock({ $0.wasReady }) else { throw BinderError(.cancelled, "subscribing at \(server) was cancelled") }
    }

    /// It stands. `missed`: something may have been missed since it stood before.
    func ready(missed: Bool = false) {
        let event = state.withLock { state -> SubscriptionEvent? in
            defer {
                state.isReady = true
                state.wasReady = true
            }
            guard state.wasReady else { return .ready }
            return missed ? .gap : state.isReady ? nil : .resumed
        }
        if let event { events(event) }
        settled.request()
    }

    func gap() { events(.gap) }

    func interrupted(_ reason: String) {
        let tell = state.withLock { state in
            defer { state.isReady = false }
            state.reason = reason
            return state.isReady
        }
        if tell { events(.interrupted(reason)) }
    }

    /// The server will never take it as it is. True when nobody has started to rely on it yet.
    func refuse(_ error: BinderError) -> Bool {
        let first = state.withLock { state in
            state.reason = error.message
            guard !state.wasReady else { return false }
            state.refusal = error
            return true
        }
        if first { settled.request() } else { interrupted(error.message) }
        return first
    }
}
