import Lifecycle
import Locking

/// All accepted sockets of a server.
final class OpenConnections: Sendable {
    private struct State {
        var records: [UInt64: ConnectionRecord] = [:]
        var next: UInt64 = SocketEvents.firstConnection
        /// Handed to the library, which has not yet told that they began.
        var expected = 0
        var isClosing = false
        var isDone: Bool { isClosing && records.isEmpty && expected == 0 }
    }
    private let state = Locked(State())
    /// Given once no connection is left after `closing()`.
    let allClosed = ShutdownSignal()

    /// Makes the record of a new socket under a number that is never used again.
    func add(_ make: (UInt64) -> ConnectionRecord) -> ConnectionRecord {
        let id = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        let record = make(id)
        state.withLock { state in
            state.records[id] = record
            state.expected = max(0, state.expected - 1)
        }
        return record
    }

    /// Call before a socket is handed to the library, and `refused` when it does not take it.
    func expect() { state.withLock { $0.expected += 1 } }

    func refused() { state.withLock { $0.expected = max(0, $0.expected - 1) } }

    func remove(_ id: UInt64) {
        let wasLast = state.withLock { state in
            state.records[id] = nil
            return state.isDone
        }
        if wasLast { allClosed.request() }
    }

    subscript(_ id: UInt64) -> ConnectionRecord? { state.withLock { $0.records[id] } }
    var all: [ConnectionRecord] { state.withLock { Array($0.records.values) } }
    var count: Int { state.withLock { $0.records.count } }

    /// From now on `allClosed` is given when the last connection is gone.
    func closing() {
        let isEmpty = state.withLock { state in
            state.isClosing = true
            return state.isDone
        }
        if isEmpty { allClosed.request() }
    }
}
