internal import Lifecycle
internal import Locking

/// Tasks that others start and that live within `run`.
final class Children: Sendable {
    private struct Child: Sendable { let body: @Sendable () async -> Void }
    private struct State {
        var isOpen = false
        var fresh: [Child] = []
        var starter: CheckedContinuation<Void, Never>?
    }
    private let state = Locked(State())

    var isOpen: Bool { state.withLock { $0.isOpen } }

    func open() { state.withLock { $0.isOpen = true } }

    /// False when nothing is started any more, or not yet.
    @discardableResult
    func start(_ body: @escaping @Sendable () async -> Void) -> Bool {
        let (isTaken, starter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.isOpen else { return (false, nil) }
            state.fresh.append(Child(body: body))
            defer { state.starter = nil }
            return (true, state.starter)
        }
        starter?.resume()
        return isTaken
    }

    /// Nothing is started from now on; `run` returns when all that was has ended.
    private func close() {
        state.withLock { state in
            state.isOpen = false
            defer { state.starter = nil }
            return state.starter
        }?.resume()
    }

    /// Runs what is started until shutdown, then calls `end`, which tells those that run to end, and returns when they have.
    func run(until life: ServiceLife, end: @escaping @Sendable () -> Void) async {
        await withDiscardingTaskGroup { group in
            let ending = Task.isCancelled
            group.addTask { [self] in
                if !ending { await life.untilShutdown() }
                close()
                end()
            }
            await run()
        }
    }

    private func run() async {
        await withDiscardingTaskGroup { group in
            while let fresh = await next() {
                for child in fresh { group.addTask { await child.body() } }
            }
        }
    }

    private func next() async -> [Child]? {
        while true {
            let (fresh, isOpen) = state.withLock { state in
                defer { state.fresh = [] }
                return (state.fresh, state.isOpen)
            }
            if !fresh.isEmpty { return fresh }
            if !isOpen { return nil }
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if !state.fresh.isEmpty || !state.isOpen { return true }
                    state.starter = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        }
    }
}
