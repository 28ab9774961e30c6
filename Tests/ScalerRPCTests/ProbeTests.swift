import Glibc
import TestSupport
import Testing
import ThreadExecutor

@testable import ScalerRPC

/// Whether the server can tell that its own port is served.
@Suite(.timeLimit(.minutes(5)))
struct ProbeTests {
    private let board = ScalerBoard()
    private let thread = ThreadExecutor(name: "probe")

    private func isServed(_ port: Int, at address: String = "127.0.0.1", within limit: Int32 = 60_000) async throws -> Bool? {
        try await thread.run { ScalerPlace(address: address, port: port).isServed(within: limit) }
    }

    @Test func `a server that runs is noticed, without TLS and with`() async throws {
        defer { thread.stop() }
        try await withServer(board) { server in
            for address in ["127.0.0.1", "0.0.0.0"] {
                let isServed = try await isServed(server.port, at: address)
                #expect(isServed == true)
            }
        }
        try await TestCertificates.with { files in
            let tls = ScalerListener.TLS(
                certificate: files.path("server.pem"), key: files.path("server.key"), clientCA: files.path("ca.pem"))
            try await withServer(board, tls: tls) { server in
                let isServed = try await isServed(server.port)
                #expect(isServed == true)
            }
        }
    }

    @Test func `a port where nobody accepts is noticed, and one where nobody listens`() async throws {
        defer { thread.stop() }
        // Not for the processes that other tests start: they would listen on.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                guard bind(listener, $0, length) == 0, listen(listener, 16) == 0 else { return false }
                getsockname(listener, $0, &length)
                return true
            }
        }
        try #require(isListening)
        let number = Int(UInt16(bigEndian: address.sin_port))
        let isAccepted = try await isServed(number, within: 200)
        #expect(isAccepted == false)
        close(listener)
        // Until no process that is just being started has a copy of it.
        try await eventually("that nobody listens") { try await isServed(number) == false }
    }
}
