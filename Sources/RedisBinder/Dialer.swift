import CPosix
import Glibc
import Streams
import ThreadExecutor

/// Makes a connected, non-blocking socket.
enum Dialer {
    /// Tries the host's addresses one after the other. Blocks: for a thread of one's own.
    static func connect(
        to address: RedisConfiguration.Address, until deadline: UInt64, isWanted: () -> Bool
    ) throws(RedisFailure) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = carillon_sock_stream
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(address.host, String(address.port), &hints, &list)
        guard code == 0, let list else {
            throw RedisFailure(.connection, "\(address): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        var failure = RedisFailure(.connection, "\(address) has no address")
        var next: UnsafeMutablePointer<addrinfo>? = list
        while let info = next {
            next = info.pointee.ai_next
            do throws(RedisFailure) { return try connect(info.pointee, address, until: deadline, isWanted) } catch {
                failure = error
                if error.cause == .ended { break }
            }
        }
        throw failure
    }

    private static func connect(
        _ info: addrinfo, _ address: RedisConfiguration.Address, until deadline: UInt64, _ isWanted: () -> Bool
    ) throws(RedisFailure) -> Int32 {
        let descriptor = socket(info.ai_family, carillon_sock_stream | carillon_sock_flags, 0)
        guard descriptor >= 0 else { throw RedisFailure(.connection, "\(address): no socket: \(String(cString: strerror(errno)))") }
        var isConnected = false
        defer { if !isConnected { close(descriptor) } }
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, size)
        var error: Int32 = 0
        if Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) != 0 { error = errno }
        while error == EINPROGRESS || error == EINTR {
            guard isWanted() else { throw RedisFailure(.ended, "no longer wanted") }
            guard Monotonic.now < deadline else { throw RedisFailure(.connection, "\(address) did not accept in time") }
            guard wait(descriptor, writing: true, atMost: .milliseconds(50)) else { continue }
            var length = size
            guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 else {
                error = errno
                break
            }
        }
        guard error == 0 else { throw RedisFailure(.connection, "\(address): \(String(cString: strerror(error)))") }
        isConnected = true
        return descriptor
    }

    /// Waits until there is something to read, or room to write where asked for; whether there is.
    @discardableResult
    static func wait(_ descriptor: Int32, writing: Bool, atMost limit: Duration) -> Bool {
        var one = pollfd(fd: descriptor, events: Int16(POLLIN) | (writing ? Int16(POLLOUT) : 0), revents: 0)
        return poll(&one, 1, Int32(limit.milliseconds)) > 0
    }
}
