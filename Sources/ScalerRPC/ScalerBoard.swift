import Locking

/// Policies and their states in memory: whoever decides writes them down here, and KEDA's calls and streams read them.
package final class ScalerBoard: ScalerView {
    private typealias Readers = [UInt64: AsyncStream<ScalerState>.Continuation]
    private struct Entry {
        var state: ScalerState
        var readers: Readers = [:]
    }
    private struct Board {
        var entries: [String: Entry] = [:]
        var next: UInt64 = 0
    }
    /// What a reader that does not keep up may be behind; older changes are dropped then.
    private static let behind = 16
    private let board = Locked(Board())
    /// How many there were. Held while readers are told of one, so that all hear of them in the order in which they were made; not `board` itself,
    /// which a reader that is being cancelled takes in `leave`, at a moment when nobody can wake it.
    private let changes = Locked<UInt64>(0)

    package init(_ states: [String: ScalerState] = [:]) {
        board.withLock { $0.entries = states.mapValues { Entry(state: $0) } }
    }

    /// Writes down the state of a policy, and that there is one; nil: there is none any more. Streams hear of it at once.
    package func set(_ policy: String, _ state: ScalerState?) {
        changes.withLock { changes in
            changes &+= 1
            let readers: Readers = board.withLock { board in
                guard let state else { return board.entries.removeValue(forKey: policy)?.readers ?? [:] }
                guard board.entries[policy]?.state != state else { return [:] }
                board.entries[policy, default: Entry(state: state)].state = state
                return board.entries[policy]?.readers ?? [:]
            }
            for reader in readers.values {
                if let state { reader.yield(state) } else { reader.finish() }
            }
        }
    }

    package var policies: [String] { board.withLock { $0.entries.keys.sorted() } }

    package func state(of policy: String) -> ScalerState? { board.withLock { $0.entries[policy]?.state } }

    package func states(of policy: String) -> AsyncStream<ScalerState>? {
        let (stream, continuation) = AsyncStream.makeStream(of: ScalerState.self, bufferingPolicy: .bufferingNewest(Self.behind))
        let id: UInt64? = board.withLock { board in
            guard let state = board.entries[policy]?.state else { return nil }
            board.next += 1
            board.entries[policy]?.readers[board.next] = continuation
            continuation.yield(state)
            return board.next
        }
        guard let id else { return nil }
        continuation.onTermination = { [weak self] _ in self?.leave(policy, id) }
        return stream
    }

    /// How many streams read a policy now.
    package func readers(of policy: String) -> Int { board.withLock { $0.entries[policy]?.readers.count ?? 0 } }

    private func leave(_ policy: String, _ id: UInt64) {
        // Taken out of the lock before it is let go: what it holds may call back.
        _ = board.withLock { $0.entries[policy]?.readers.removeValue(forKey: id) }
    }
}
