import Locking

/// Lets one task at a time through, in the order in which they came.
package final class AsyncGate: Sendable {
    private struct State {
        var isTaken = false
        var next: UInt64 = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }
    private let state = Locked(State())

    package init() {}

    /// Returns when the gate is this task's, which then calls `leave()` once. Throws `.cancelled` when the task is cancelled before.
    package func enter() async throws(ConfigError) {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        let isIn: Bool = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state -> Bool? in
                    if Task.isCancelled { return false }
                    if !state.isTaken {
                        state.isTaken = true
                        return true
                    }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume(returning: false)
        }
        guard isIn else { throw ConfigError(.cancelled, "the refresh was cancelled") }
    }

    package func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiters.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}
