internal import Locking

/// At most so many at a time, in the order of coming.
final class Permits: Sendable {
    private struct State {
        var free: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
        var first = 0
    }
    private let state: Locked<State>

    init(_ count: Int) { state = Locked(State(free: count)) }

    func with<R: Sendable>(_ body: () async -> R) async -> R {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiters.append(continuation)
                return false
            }
            if now { continuation.resume() }
        }
        defer { giveBack() }
        return await body()
    }

    private func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.first < state.waiters.count else {
                state.waiters = []
                state.first = 0
                state.free += 1
                return nil
            }
            defer { state.first += 1 }
            return state.waiters[state.first]
        }
        next?.resume()
    }
}
