import Foundation
import Locking

/// Leads connections on loopback to a server, and keeps what clients have sent: so that requests can be counted.
final class CountingProxy: Sendable {
    let port: Int
    private let listener: Int32
    private let sent = Locked<[Int32: [UInt8]]>([:])

    init(to server: Int) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.address(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard isListening else { throw NoPort() }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                let upstream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                var target = Self.address(server)
                let isConnected = withUnsafePointer(to: &target) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(upstream, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    }
                }
                guard isConnected, let self else {
                    close(client)
                    close(upstream)
                    continue
                }
                Thread { Self.copy(client, upstream) { bytes in self.keep(bytes, of: client) } }.start()
                Thread { Self.copy(upstream, client) { _ in } }.start()
            }
        }.start()
    }

    struct NoPort: Error {}

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private func keep(_ bytes: ArraySlice<UInt8>, of connection: Int32) { sent.withLock { $0[connection, default: []] += bytes } }

    /// How many connections were made.
    var connections: Int { sent.withLock { $0.count } }

    /// The requests of the Kafka protocol so far, by their keys.
    var kafkaRequests: [Int: Int] {
        var counts: [Int: Int] = [:]
        for bytes in sent.withLock({ Array($0.values) }) {
            var index = 0
            while index + 6 <= bytes.count {
                let length = bytes[index..<index + 4].reduce(0) { $0 << 8 | Int($1) }
                counts[Int(bytes[index + 4]) << 8 | Int(bytes[index + 5]), default: 0] += 1
                index += 4 + length
            }
        }
        return counts
    }

    /// The request lines of HTTP so far.
    var requestLines: [String] {
        sent.withLock { Array($0.values) }.flatMap { bytes in
            String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init).filter { $0.hasSuffix(" HTTP/1.1") }
        }
    }

    private static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// Blocks until the source has ended.
    private static func copy(_ source: Int32, _ target: Int32, _ seen: (ArraySlice<UInt8>) -> Void) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            seen(buffer[..<count])
            var start = 0
            while start < count {
                let written = buffer[start..<count].withUnsafeBytes { send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard written > 0 else { break }
                start += written
            }
            guard start == count else { break }
        }
        shutdown(target, Int32(SHUT_RDWR))
        shutdown(source, Int32(SHUT_RDWR))
    }
}
