import Locking

/// A request to end, given once and seen by all who wait.
package final class ShutdownSignal: Sendable {
    private struct State {
        var requested = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var next: UInt64 = 0
    }
    private let state = Locked(State())

    package init() {}

    package var isRequested: Bool { state.withLock { $0.requested } }

    /// Gives the request; later calls do nothing.
    package func request() {
        let waiters = state.withLock { state in
            state.requested = true
            let waiters = Array(state.waiters.values)
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the request was given or the calling task is cancelled.
    package func wait() async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.requested || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    /// Returns when the request was given, `limit` is over or the calling task is cancelled.
    package func wait(atMost limit: Duration) async {
        _ = await withTimeLimit(limit) { await self.wait() }
    }

    /// Returns when one of them was given or the calling task is cancelled.
    package static func first(of signals: ShutdownSignal...) async {
        await withTaskGroup(of: Void.self) { group in
            for signal in signals { group.addTask { await signal.wait() } }
            await group.next()
            group.cancelAll()
        }
    }
}
