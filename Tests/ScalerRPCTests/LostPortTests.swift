import Glibc
import ScalerRPC
import Telemetry
import TestSupport
import Testing

/// After one connection that it could not accept, as when no open file is left, libgrpc's listener accepts none any more.
@Suite(.enabled(if: ForeignClient.isInstalled, ForeignClient.whyNot), .timeLimit(.minutes(5)))
struct LostPortTests {
    @Test func `a port that is lost is listened on anew`() async throws {
        var limits = ScalerLimits()
        limits.probe = .milliseconds(100)
        let lines = Recorded<String>()
        let log = Log(part: "keda", minimum: .debug) { _, line in lines.add(line) }
        let board = ScalerBoard(counts: ["orders": 1])
        try await withServer(board, limits: limits, log: log) { server in
            try await ForeignClient.with(server.address) { client in
                let request = ForeignClient.Request(name: "orders")
                let stream = try client.open("StreamIsActive", request)
                try await eventually("the stream") { client.states(of: stream) == [true] }
                // Not by using up the open files: libdispatch ends a process that has none left.
                try stopListening(on: server.port)
                let ended = try await client.end(of: stream)
                #expect(ended.code == "UNAVAILABLE")
                #expect(lines.all.contains { $0.contains("takes no connections any more") && $0.contains(server.address) })
                try await eventually("an answer") {
                    let event = try await client.call("IsActive", request)
                    return event.answer?.active == true
                }
            }
        }
    }

    /// The next `accept` on that port fails.
    private func stopListening(on port: Int) throws {
        for descriptor in Int32(3)..<4096 {
            var isListening: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size) == 0, isListening == 1 else { continue }
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) == 0 }
            }
            if isNamed, Int(UInt16(bigEndian: address.sin_port)) == port {
                try #require(shutdown(descriptor, Int32(SHUT_RDWR)) == 0)
                return
            }
        }
        Issue.record("nobody listens on \(port)")
    }
}
