import CPosix
import Glibc

/// The server's own epoll beside the library's: it tells at once when a client has closed its side.
final class SocketEvents: Sendable {
    static let wakeUp: UInt64 = 0
    static let listener: UInt64 = 1
    static let firstConnection: UInt64 = 16
    /// Added to a connection's number once only its last bytes are read and thrown away.
    static let lingering: UInt64 = 1 << 63

    private let epoll: Int32
    private let bell: Int32

    init() throws(HTTPServerError) {
        let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        let bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        self.epoll = epoll
        self.bell = bell
        guard epoll >= 0, bell >= 0 else { throw .libraryStart }
        add(bell, UInt32(EPOLLIN.rawValue), id: Self.wakeUp)
    }

    deinit {
        if epoll >= 0 { close(epoll) }
        if bell >= 0 { close(bell) }
    }

    /// Tells once when the peer closes its side, whatever it sent before.
    func watchForEnd(_ descriptor: Int32, id: UInt64) { add(descriptor, UInt32(EPOLLRDHUP.rawValue) | UInt32(EPOLLET.rawValue), id: id) }

    func watchForInput(_ descriptor: Int32, id: UInt64) { add(descriptor, UInt32(EPOLLIN.rawValue) | UInt32(EPOLLRDHUP.rawValue), id: id) }

    func forget(_ descriptor: Int32) { epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil) }

    /// Waits up to `limit` milliseconds and calls `body` for each event with its number.
    func wait(upTo limit: Int64, _ body: (UInt64) -> Void) {
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
            let count = epoll_wait(epoll, events.baseAddress, Int32(events.count), Int32(max(0, limit)))
            for index in 0..<max(0, Int(count)) {
                let id = events[index].data.u64
                if id == Self.wakeUp { emptyBell() } else { body(id) }
            }
        }
    }

    /// Ends a wait at once, from any thread.
    func wake() {
        var one: UInt64 = 1
        _ = write(bell, &one, MemoryLayout<UInt64>.size)
    }

    private func emptyBell() {
        var count: UInt64 = 0
        _ = read(bell, &count, MemoryLayout<UInt64>.size)
    }

    private func add(_ descriptor: Int32, _ events: UInt32, id: UInt64) {
        var event = epoll_event(events: events, data: epoll_data(u64: id))
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    }
}
