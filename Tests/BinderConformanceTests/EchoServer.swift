import CPosix
import Foundation
import Glibc
import TestSupport

/// Sends back what it gets, each connection on a thread of its own; ends with the process of the test.
struct EchoServer {
    let port: Int

    init() {
        let listener = socket(AF_INET, carillon_sock_stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = bind(listener, generic, length)
                _ = listen(listener, 128)
                _ = getsockname(listener, generic, &length)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        Self.onThread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                Self.onThread {
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while true {
                        let count = read(client, &buffer, buffer.count)
                        guard count > 0, Self.sendAll(client, buffer, count) else { break }
                    }
                    close(client)
                }
            }
        }
    }

    private static func sendAll(_ descriptor: Int32, _ bytes: [UInt8], _ count: Int) -> Bool {
        var sent = 0
        while sent < count {
            let step = bytes[sent..<count].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard step > 0 else { return false }
            sent += step
        }
        return true
    }

    private static func onThread(_ body: @escaping @Sendable () -> Void) { Foundation.Thread { body() }.start() }
}

/// A client whose calls never wait: tests look until something has happened.
final class RawConnection: Sendable {
    let descriptor: Int32

    /// Nil where the connection is refused.
    init?(to port: Int) {
        let descriptor = socket(AF_INET, carillon_sock_stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let failed = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) != 0
            }
        }
        guard !failed else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    enum Input: Equatable {
        case nothing
        case bytes([UInt8])
        case end
        case reset
    }

    /// False when the connection is gone.
    @discardableResult
    func send(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return carillon_send_at_hand(descriptor, bytes, bytes.count) == bytes.count
    }

    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    func receive() -> Input {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = carillon_receive_at_hand(descriptor, &buffer, buffer.count)
        if count > 0 { return .bytes(Array(buffer[..<count])) }
        if count == 0 { return .end }
        return errno == EAGAIN ? .nothing : .reset
    }

    /// Waits for this text to have come, whole.
    func expect(_ text: String) async throws {
        var got: [UInt8] = []
        try await eventually(within: .seconds(20), "\(text.prefix(20))") {
            if case .bytes(let bytes) = receive() { got += bytes }
            return got.count >= text.utf8.count
        }
        guard got == Array(text.utf8) else { throw CaseFailed(description: "\(String(decoding: got, as: UTF8.self)) is not \(text)") }
    }

    func expect(_ input: Input) async throws {
        try await eventually(within: .seconds(20), "\(input)") { receive() == input }
    }
}
