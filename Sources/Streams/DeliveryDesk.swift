internal import Locking

/// Between the thread of a subscription, which brings deliveries, and the task that takes them one by one.
package final class DeliveryDesk: Sendable {
    private typealias Waiter = CheckedContinuation<Result<ReceivedEnvelope?, BinderError>, Never>
    private struct State {
        var phase: SubscriptionPhase
        var buffer = FIFO<ReceivedEnvelope>()
        var waiter: Waiter?
        var positioned: [UInt64: CheckedContinuation<BinderError?, Never>] = [:]
        var nextWaiter: UInt64 = 0

        mutating func takeAll() -> (Waiter?, [CheckedContinuation<BinderError?, Never>]) {
            defer {
                waiter = nil
                positioned = [:]
            }
            return (waiter, Array(positioned.values))
        }
    }
    private let destination: Destination
    private let broker: String
    private let state: Locked<State>

    /// `broker`: the name of its make, for messages.
    package init(_ destination: Destination, of broker: String) {
        self.destination = destination
        self.broker = broker
        state = Locked(State(phase: .starting("not connected to \(broker) yet")))
    }

    // MARK: For the binder and its callers

    /// Whether the position on the broker stands, and else why not.
    package var readiness: Readiness { state.withLock { $0.phase }.readiness(of: destination.name) }

    /// Waits until the position on the broker is established. Throws what makes that impossible, or `.cancelled`.
    package func positioned() async throws(BinderError) {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let error: BinderError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> BinderError?? in
                    switch state.phase {
                    case .ready: return .some(nil)
                    case .failed(let error): return error
                    case .draining, .closed: return closedError
                    case .starting, .interrupted:
                        if Task.isCancelled { return BinderError(.cancelled, "the subscription was cancelled") }
                        state.positioned[id] = continuation
                        return .none
                    }
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.positioned.removeValue(forKey: id) }
            waiter?.resume(returning: BinderError(.cancelled, "the subscription was cancelled"))
        }
        if let error { throw error }
    }

    /// The next delivery; nil when no more come. Throws what made the subscription impossible, or `.cancelled`.
    package func next() async throws(BinderError) -> ReceivedEnvelope? {
        if let early = state.withLock({ Self.immediate(&$0) }) { return try early.get() }
        let result: Result<ReceivedEnvelope?, BinderError> = await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                let early = state.withLock { state -> Result<ReceivedEnvelope?, BinderError>? in
                    if let early = Self.immediate(&state) { return early }
                    if Task.isCancelled { return .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")) }
                    state.waiter = waiter
                    return nil
                }
                if let early { waiter.resume(returning: early) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")))
        }
        return try result.get()
    }

    private var closedError: BinderError { BinderError(.closed, "the \(broker) binder is closed") }

    private static func immediate(_ state: inout State) -> Result<ReceivedEnvelope?, BinderError>? {
        switch state.phase {
        case .failed(let error): .failure(error)
        case .draining, .closed: .success(nil)
        case .starting, .ready, .interrupted: state.buffer.popFirst().map { .success($0) }
        }
    }

    // MARK: For the thread

    /// Brings deliveries.
    package func put(_ deliveries: [ReceivedEnvelope]) {
        guard !deliveries.isEmpty else { return }
        let (waiter, first) = state.withLock { state -> (Waiter?, ReceivedEnvelope?) in
            state.buffer.append(contentsOf: deliveries)
            guard let waiter = state.waiter, let first = state.buffer.popFirst() else { return (nil, nil) }
            state.waiter = nil
            return (waiter, first)
        }
        waiter?.resume(returning: .success(first))
    }

    /// The position on the broker stands: whoever waits for it goes on.
    package func ready() {
        let waiters = state.withLock { state -> [CheckedContinuation<BinderError?, Never>] in
            switch state.phase {
            case .starting, .interrupted, .ready: state.phase = .ready
            case .failed, .draining, .closed: break
            }
            defer { state.positioned = [:] }
            return Array(state.positioned.values)
        }
        for waiter in waiters { waiter.resume(returning: nil) }
    }

    /// The position is lost for now; whether it was there before.
    @discardableResult
    package func interrupt(_ reason: String) -> Bool {
        state.withLock { state in
            switch state.phase {
            case .ready:
                state.phase = .interrupted(reason)
                return true
            case .starting: state.phase = .starting(reason)
            case .interrupted: state.phase = .interrupted(reason)
            case .failed, .draining, .closed: break
            }
            return false
        }
    }

    /// Drops what nobody has taken yet: the broker delivers it again.
    package func discard() { state.withLock { $0.buffer.removeAll() } }

    /// The subscription can never be: whoever waits is told.
    package func fail(_ error: BinderError) {
        let (waiter, positioned) = state.withLock { state -> (Waiter?, [CheckedContinuation<BinderError?, Never>]) in
            switch state.phase {
            case .failed, .draining, .closed: return (nil, [])
            case .starting, .ready, .interrupted: break
            }
            state.phase = .failed(error)
            return state.takeAll()
        }
        waiter?.resume(returning: .failure(error))
        for waiter in positioned { waiter.resume(returning: error) }
    }

    /// No more deliveries; returns those that nobody has seen.
    package func drain() -> FIFO<ReceivedEnvelope> {
        let (waiters, untaken) = state.withLock { state in
            state.phase = .draining
            defer { state.buffer = FIFO() }
            return (state.takeAll(), state.buffer)
        }
        waiters.0?.resume(returning: .success(nil))
        for waiter in waiters.1 { waiter.resume(returning: closedError) }
        return untaken
    }

    /// Nothing comes any more.
    package func close() {
        _ = drain()
        state.withLock { $0.phase = .closed }
    }
}
