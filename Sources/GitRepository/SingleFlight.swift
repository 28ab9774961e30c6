import Locking

/// Runs one piece of work at a time for many callers. A caller that comes while it runs gets the result of the next run, never of the one under
/// way: that one may already have passed what the caller wants to be seen. However many wait, the next run is one run.
final class SingleFlight<Result: Sendable>: Sendable {
    private enum Turn {
        case run
        case shared(Result)
    }
    private struct State {
        var running = false
        var waiting: [CheckedContinuation<Turn, Never>] = []
    }
    private let state = Locked(State())

    /// The result of a run that began after this call. Not interruptible: the work has a time limit of its own.
    func run(_ work: @Sendable () async -> Result) async -> Result {
        let turn = await withCheckedContinuation { continuation in
            let first = state.withLock { state in
                guard state.running else {
                    state.running = true
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if first { continuation.resume(returning: Turn.run) }
        }
        guard case .run = turn else {
            guard case .shared(let result) = turn else { return await work() }
            return result
        }
        // Whoever waits by now waits for this run, if it is not the first: they handed their turn to one of them.
        let sharing = takeSharing()
        let result = await work()
        for one in sharing { one.resume(returning: .shared(result)) }
        let next = state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.running = false
                return nil as CheckedContinuation<Turn, Never>?
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: .run)
        return result
    }

    private func takeSharing() -> [CheckedContinuation<Turn, Never>] {
        state.withLock { state in
            let sharing = state.waiting
            state.waiting = []
            return sharing
        }
    }
}
