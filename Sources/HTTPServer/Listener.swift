import CMicroHTTPD
import CPosix  // each of the three may be the one that owns the structures of addresses
import Glibc

/// A listening socket.
struct Listener: ~Copyable {
    let descriptor: Int32
    let port: Int

    /// Resolves names, which may block.
    init(address: String, port: Int) throws(HTTPServerError) {
        guard (0...65535).contains(port) else { throw .cannotListen(address: address, port: port, reason: "there is no such port") }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = carillon_sock_stream
        var found: UnsafeMutablePointer<addrinfo>?
        let failed = getaddrinfo(address, String(port), &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard failed == 0, let first = Self.preferred(found) else {
            throw .addressUnknown(address: address, reason: failed == 0 ? "no such address" : String(cString: gai_strerror(failed)))
        }
        let descriptor = socket(first.ai_family, carillon_sock_stream | carillon_sock_flags, 0)
        guard descriptor >= 0 else { throw Self.error(errno, address, port) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))  // accepted sockets inherit it
        guard bind(descriptor, first.ai_addr, first.ai_addrlen) == 0, listen(descriptor, 4096) == 0 else {
            let reason = errno
            close(descriptor)
            throw Self.error(reason, address, port)
        }
        self.descriptor = descriptor
        self.port = Self.port(of: descriptor)
    }

    deinit { close(descriptor) }

    /// `localhost` is 127.0.0.1 for those who call it, whatever comes first in the host's files.
    private static func preferred(_ found: UnsafeMutablePointer<addrinfo>?) -> addrinfo? {
        var next = found
        while let one = next?.pointee {
            if one.ai_family == AF_INET { return one }
            next = one.ai_next
        }
        return found?.pointee
    }

    private static func port(of descriptor: Int32) -> Int {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return Int(UInt16(bigEndian: address.sin6_port))  // at the same place in both families
    }

    private static func error(_ code: Int32, _ address: String, _ port: Int) -> HTTPServerError {
        switch code {
        case EADDRINUSE: .portTaken(address: address, port: port)
        case EACCES: .portForbidden(address: address, port: port)
        case EADDRNOTAVAIL: .addressUnknown(address: address, reason: "this host does not have it")
        default: .cannotListen(address: address, port: port, reason: String(cString: strerror(code)))
        }
    }
}
