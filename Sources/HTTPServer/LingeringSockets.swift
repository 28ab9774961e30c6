import CPosix
import Glibc
import Locking

/// Sockets of refused requests: closed for writing, what their clients still send is read and thrown away for a while. Closing at once would make
/// the kernel send a reset, which can overtake the answer.
final class LingeringSockets: Sendable {
    private struct Socket {
        let descriptor: Int32
        let until: Moment
        var remaining: Int
    }
    private static let time: Int64 = 2000
    private static let count = 1024
    private let sockets = Locked<[UInt64: Socket]>([:])
    private let events: SocketEvents
    private let discarded: Int

    init(events: SocketEvents, discarded: Int) {
        self.events = events
        self.discarded = discarded
    }

    deinit { for socket in sockets.withLock({ Array($0.values) }) { close(socket.descriptor) } }

    /// Takes over a copy of `descriptor`, which its owner is about to close.
    func add(_ descriptor: Int32, id: UInt64) {
        guard sockets.withLock({ $0.count }) < Self.count else { return }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { return }
        shutdown(copy, Int32(SHUT_WR))
        let id = id | SocketEvents.lingering
        sockets.withLock { $0[id] = Socket(descriptor: copy, until: Clock.now + Self.time, remaining: discarded) }
        events.watchForInput(copy, id: id)
    }

    /// Reads what is there; closes at the end of the stream, at an error, or after too much.
    func read(_ id: UInt64) {
        sockets.withLock { sockets in
            guard var socket = sockets[id] else { return }
            let isOver = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 8) { room in
                while socket.remaining > 0 {
                    let count = carillon_receive_at_hand(socket.descriptor, room.baseAddress, room.count)
                    if count <= 0 { return count == 0 || errno != EAGAIN }
                    socket.remaining -= count
                }
                return true
            }
            if isOver { close(socket.descriptor) }
            sockets[id] = isOver ? nil : socket
        }
    }

    func sweep(at now: Moment) {
        sockets.withLock { sockets in
            for (id, socket) in sockets where now > socket.until {
                close(socket.descriptor)
                sockets[id] = nil
            }
        }
    }
}
