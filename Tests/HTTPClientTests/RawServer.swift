import Foundation
import Glibc
import Locking

/// A server of raw sockets, one thread a connection, for answers that no proper server would give.
final class RawServer: Sendable {
    /// One connection, as a handler sees it.
    struct Connection: Sendable {
        let descriptor: Int32
        /// False when the client has left.
        @discardableResult
        func write(_ text: String) -> Bool { write(Array(text.utf8)) }
        func write(_ bytes: [UInt8]) -> Bool {
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                if count <= 0 { return false }
                sent += count
            }
            return true
        }
        /// Returns when the client has closed the connection.
        func untilClosed() {
            var byte: UInt8 = 0
            while recv(descriptor, &byte, 1, 0) > 0 {}
        }
    }

    private let listener: Int32
    let port: UInt16
    private let seen = Locked<[String]>([])
    private let opened = Locked(0)

    /// `handler` gets the head of each request and its body; false closes the connection.
    convenience init(_ handler: @escaping @Sendable (_ head: String, _ body: [UInt8], Connection) -> Bool) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 1024) == 0 && getsockname(listener, pointer, &length) == 0
            }
        }
        precondition(bound)
        self.init(listener, port: UInt16(bigEndian: address.sin_port), handler)
    }

    /// At a socket of the file system.
    convenience init(path: String, _ handler: @escaping @Sendable (_ head: String, _ body: [UInt8], Connection) -> Bool) {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(listener, 1024) == 0
            }
        }
        precondition(bound)
        self.init(listener, port: 0, handler)
    }

    private init(_ listener: Int32, port: UInt16, _ handler: @escaping @Sendable (String, [UInt8], Connection) -> Bool) {
        self.listener = listener
        self.port = port
        Thread.detachNewThread { [self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                if descriptor < 0 {
                    close(listener)  // here, or the number could be another socket's before this thread has ended
                    return
                }
                opened.withLock { $0 += 1 }
                Thread.detachNewThread { [self] in
                    serve(Connection(descriptor: descriptor), handler)
                    close(descriptor)
                }
            }
        }
    }

    /// Stops listening; connections end with their handlers.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }
    /// The heads of all requests so far.
    var heads: [String] { seen.withLock { $0 } }
    var connections: Int { opened.withLock { $0 } }

    private func serve(_ connection: Connection, _ handler: (String, [UInt8], Connection) -> Bool) {
        var buffer: [UInt8] = []
        while true {
            if buffer.first == 0x16 {  // a TLS handshake
                connection.write("no TLS here\n")
                return
            }
            guard let end = buffer.firstRange(of: [13, 10, 13, 10]) else {
                guard read(connection, &buffer) else { return }
                continue
            }
            let head = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
            let length =
                head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
                .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
            while buffer.count < end.upperBound + length { guard read(connection, &buffer) else { return } }
            let body = Array(buffer[end.upperBound..<(end.upperBound + length)])
            buffer.removeFirst(end.upperBound + length)
            seen.withLock { $0.append(head) }
            guard handler(head, body, connection) else { return }
        }
    }

    private func read(_ connection: Connection, _ buffer: inout [UInt8]) -> Bool {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(connection.descriptor, &piece, piece.count, 0)
        guard count > 0 else { return false }
        buffer += piece[..<count]
        return true
    }
}

/// Runs `body` beside a server and stops it.
func withServer<R>(
    _ handler: @escaping @Sendable (String, [UInt8], RawServer.Connection) -> Bool, _ body: (RawServer) async throws -> R
) async throws -> R {
    let server = RawServer(handler)
    defer { server.stop() }
    return try await body(server)
}

extension String {
    /// An answer with this body.
    func answer(_ status: String = "200 OK", _ fields: String...) -> String {
        "HTTP/1.1 \(status)\r\n" + fields.map { $0 + "\r\n" }.joined() + "Content-Length: \(utf8.count)\r\n\r\n" + self
    }
}
