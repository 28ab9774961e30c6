import Locking

/// The snapshot in force, those who wait for another, and the scopes that are made of it.
final class SnapshotStore: Sendable {
    private struct State {
        var snapshot: ConfigSnapshot?
        /// Counts the swaps; 0 before the first.
        var generation: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var scopes: [WeakScope] = []
    }
    private struct WeakScope: Sendable { weak let scope: (any AnyConfigScope)? }
    private let state = Locked(State())

    var current: ConfigSnapshot? { state.withLock { $0.snapshot } }

    /// Puts `snapshot` in force and wakes all who wait.
    func swap(_ snapshot: ConfigSnapshot) {
        let waiters = state.withLock { state in
            state.snapshot = snapshot
            state.generation += 1
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when there were more than `generation` swaps, with their count and the snapshot in force; nil when the task is cancelled.
    func wait(after generation: UInt64) async -> (generation: UInt64, snapshot: ConfigSnapshot)? {
        while !Task.isCancelled {
            let (now, snapshot) = state.withLock { ($0.generation, $0.snapshot) }
            if now > generation, let snapshot { return (now, snapshot) }
            await waitForSwap(after: generation)
        }
        return nil
    }

    private func waitForSwap(after generation: UInt64) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    if state.generation > generation || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    func add(_ scope: any AnyConfigScope) {
        state.withLock { state in
            state.scopes.removeAll { $0.scope == nil }
            state.scopes.append(WeakScope(scope: scope))
        }
    }

    /// The scopes that somebody still holds.
    var scopes: [any AnyConfigScope] { state.withLock { $0.scopes.compactMap(\.scope) } }
}
