import Locking

/// Lets one task through at a time, in the order in which they came.
final class SerialGate: Sendable {
    private struct State {
        var isTaken = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Locked(State())

    /// Waits for its turn, also when cancelled: whoever is inside ends within a time limit.
    func run<Result: Sendable>(_ body: () async -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if state.isTaken {
                    state.waiters.append(continuation)
                    return false
                }
                state.isTaken = true
                return true
            }
            if now { continuation.resume() }
        }
        let result = await body()
        let next = state.withLock { state in
            if state.waiters.isEmpty {
                state.isTaken = false
                return CheckedContinuation<Void, Never>?.none
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
        return result
    }
}
