internal import CPosix
internal import Glibc
internal import Streams

/// The sockets of a proxy.
enum ProxySocket {
    struct Refused: Error, CustomStringConvertible {
        let description: String
        init(_ what: String) { description = "the proxy cannot \(what): \(String(cString: strerror(errno)))" }
    }

    /// A listening socket on a free port of 127.0.0.1. The port is bound by its number: a socket that is shut down loses a port that was chosen
    /// for it.
    static func listening() throws -> (descriptor: Int32, port: Int) {
        let probe = try bound(to: 0)
        defer { close(probe.descriptor) }
        let (descriptor, port) = try bound(to: probe.port)
        guard listen(descriptor, 128) == 0 else {
            defer { close(descriptor) }
            throw Refused("listen on 127.0.0.1")
        }
        return (descriptor, port)
    }

    private static func bound(to port: Int) throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, carillon_sock_stream | carillon_sock_flags, 0)
        guard descriptor >= 0 else { throw Refused("open a socket") }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) != 0 || getsockname(descriptor, generic, &length) != 0
            }
        }
        guard !failed else {
            defer { close(descriptor) }
            throw Refused("bind a port of 127.0.0.1")
        }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Begins to connect; -1 where that is impossible. Looks names up, which may block.
    static func connecting(to broker: BrokerAddress) -> Int32 {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICSERV
        hints.ai_socktype = carillon_sock_stream
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(broker.host, String(broker.port), &hints, &found) == 0 else { return -1 }
        defer { freeaddrinfo(found) }
        // `localhost` may be ::1 first, where few brokers listen.
        var next = found
        while let one = next?.pointee, one.ai_family != AF_INET { next = one.ai_next }
        guard let chosen = (next ?? found)?.pointee else { return -1 }
        let descriptor = socket(chosen.ai_family, carillon_sock_stream | carillon_sock_flags, 0)
        guard descriptor >= 0 else { return -1 }
        guard connect(descriptor, chosen.ai_addr, chosen.ai_addrlen) == 0 || errno == EINPROGRESS else {
            close(descriptor)
            return -1
        }
        withoutDelay(descriptor)
        return descriptor
    }

    static func withoutDelay(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Closes so that the peer sees a reset.
    static func reset(_ descriptor: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    /// 0 once a connection that was begun stands; else why it does not.
    static func connectionError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
    }
}
