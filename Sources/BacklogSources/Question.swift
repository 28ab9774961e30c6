internal import Locking

/// A question that is under way, and its answer. It outlives whoever has lost patience: an answer that comes late serves the next one who wants it.
final class Question<Answer: Sendable>: Sendable {
    private enum State: Sendable {
        case open([UInt64: CheckedContinuation<Answer?, Never>])
        case answered(Answer)
        /// Somebody has had the answer: it is not fresh any more.
        case taken(Answer)
    }
    let asked = ContinuousClock.now
    private let state = Locked(State.open([:]))
    private let next = Locked<UInt64>(0)

    init(_ ask: @escaping @Sendable () async -> Answer) {
        // Not a child: the C libraries behind it do not let themselves be interrupted, and nobody is to wait for them.
        Task { answer(await ask()) }
    }

    /// Whether the answer was handed out already.
    var isTaken: Bool { state.withLock { if case .taken = $0 { true } else { false } } }

    /// The answer, where it has come and nobody has had it.
    var late: Answer? { state.withLock { if case .answered(let answer) = $0 { answer } else { nil } } }

    private func answer(_ answer: Answer) {
        let waiters = state.withLock { state -> [CheckedContinuation<Answer?, Never>] in
            guard case .open(let waiters) = state else { return [] }
            state = waiters.isEmpty ? .answered(answer) : .taken(answer)
            return Array(waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: answer) }
    }

    /// Nil when there is none within `limit`, or the task was cancelled.
    func answer(within limit: Duration) async -> Answer? {
        let id = next.withLock { next in
            next += 1
            return next
        }
        return await withTaskCancellationHandler {
            let timer = Task { [weak self] in
                try? await Task.sleep(for: limit)  // the limit itself: cancelled when the answer comes before
                self?.giveUp(id)
            }
            defer { timer.cancel() }
            return await withCheckedContinuation { continuation in
                let now = state.withLock { state -> Answer?? in
                    switch state {
                    case .answered(let answer), .taken(let answer):
                        state = .taken(answer)
                        return .some(answer)
                    case .open(var waiters):
                        guard !Task.isCancelled else { return .some(nil) }
                        waiters[id] = continuation
                        state = .open(waiters)
                        return .none
                    }
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func giveUp(_ id: UInt64) {
        let waiter = state.withLock { state -> CheckedContinuation<Answer?, Never>? in
            guard case .open(var waiters) = state, let waiter = waiters.removeValue(forKey: id) else { return nil }
            state = .open(waiters)
            return waiter
        }
        waiter?.resume(returning: nil)
    }
}
