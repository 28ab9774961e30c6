package import ConfigRepositories
import Locking

/// Hands changes to the one who wants to know, one at a time and in order, outside of the look that found them: he may ask the repository again.
package final class ChangeDelivery: Sendable {
    package typealias Handler = @Sendable (SnapshotChange) async -> Void
    private struct State {
        var handler: Handler?
        var pending: [SnapshotChange] = []
        var isDelivering = false
        var isRunning = false
    }
    private let state = Locked(State())
    private let wakeUps: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    /// Beyond this many that wait, steps of one branch are told as one.
    private static let most = 100

    package init() { (wakeUps, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    package func set(_ handler: @escaping Handler) { state.withLock { $0.handler = handler } }

    /// Puts changes behind those that wait. Returns at once.
    package func add(_ changes: [SnapshotChange]) {
        guard !changes.isEmpty else { return }
        state.withLock { state in
            for change in changes {
                if state.pending.count >= Self.most,
                    let index = state.pending.lastIndex(where: { $0.label == change.label && $0.rejected == nil }),
                    change.rejected == nil, state.pending[index].to == change.from
                {
                    let earlier = state.pending.remove(at: index)
                    var both = change
                    both.from = earlier.from
                    both.before = earlier.before
                    both.paths = Array(Set(earlier.paths).union(change.paths)).sorted()
                    state.pending.append(both)
                } else {
                    state.pending.append(change)
                }
            }
        }
    }

    /// Sees to it that what waits is delivered: by `run` where it runs, else before this returns.
    package func start() async {
        let (isWaiting, isRunning) = state.withLock { (!$0.pending.isEmpty, $0.isRunning) }
        guard isWaiting else { return }
        if isRunning { wake.yield() } else { await deliver() }
    }

    /// Delivers what waits, unless another task does so already.
    package func deliver() async {
        while true {
            let next = state.withLock { state -> (Handler?, SnapshotChange)? in
                guard !state.isDelivering, !state.pending.isEmpty else { return nil }
                state.isDelivering = true
                return (state.handler, state.pending.removeFirst())
            }
            guard let (handler, change) = next else { return }
            await handler?(change)
            state.withLock { $0.isDelivering = false }
        }
    }

    /// Delivers what others start, until cancelled.
    package func run() async {
        state.withLock { $0.isRunning = true }
        await deliver()
        for await _ in wakeUps { await deliver() }
        state.withLock { $0.isRunning = false }
    }
}
