import CPosix
import Crypto
import Foundation
import Locking
import Streams
import TestSupport
import Testing

@testable import RedisBinder

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(4)))
struct RedisConnectionTests {
    @Test func `over TLS with an authority of one's own and a client certificate all works; a stranger's authority is refused`()
        async throws
    {
        try await TestCertificates.with { certificates in
            let tlsPort = freePort()
            let arguments = [
                "--tls-port", "\(tlsPort)", "--tls-cert-file", certificates.path("server.pem"), "--tls-key-file",
                certificates.path("server.key"),
                "--tls-ca-cert-file", certificates.path("ca.pem"), "--tls-auth-clients", "yes",
            ]
            try await RedisServer.with(arguments) { _ in
                let files =
                    "ca-file=\(certificates.path("ca.pem"))&cert-file=\(certificates.path("client.pem"))&key-file=\(certificates.path("client.key"))"
                let configuration = try RedisConfiguration(uri: "rediss://localhost:\(tlsPort)/0?\(files)")
                try await running(RedisBinder(configuration: configuration)) { binder in
                    let destination = try fresh()
                    let group = try ConsumerGroup("workers")
                    let large = [UInt8](repeating: 42, count: 3_000_000)
                    try await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                        _ = try await binder.publish(Envelope(payload: large), to: destination)
                        let one = try await deliveries.next()?.take()
                        #expect(one?.envelope.payload == large)
                        try await one?.settlement.settle(.accept)
                    }
                }
                var stranger = configuration
                stranger.tls?.authorityFile = certificates.path("stranger.pem")
                stranger.publishLimit = .seconds(1)
                try await running(RedisBinder(configuration: stranger)) { binder in
                    await #expect(
                        performing: { try await binder.publish(Envelope(text: "x"), to: try fresh()) },
                        throws: { "\($0)".contains("certificate") && ($0 as? BinderError)?.code == .unreachable })
                }
            }
        }
    }

    @Test(arguments: [
        "garbage that is no RESP\r\n", "$99999999999999999999\r\n", "*-7\r\n", "*2147483647\r\n:1\r\n", "-ERR no\r\n-ERR no\r\n-ERR no\r\n",
        "+OK\r\n+PONG\r\n+extra\r\n+extra\r\n", ":1\r\n$5\r\nab", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "+OK\r\n+OK\r\n*3\r\n*0\r\n*0\r\n*0\r\n$-1\r\n*-1\r\n", "",
    ])
    func `whatever a peer sends that is no Redis, callers get an error in time`(_ answer: String) async throws {
        let server = try FakeServer(answer: Array(answer.utf8))
        defer { server.stop() }
        var configuration = RedisConfiguration(addresses: [.init(host: "127.0.0.1", port: server.port)])
        configuration.publishLimit = .seconds(2)
        configuration.connectLimit = .seconds(1)
        configuration.replyLimit = .seconds(1)
        configuration.backOff = .milliseconds(100)
        try await running(RedisBinder(configuration: configuration)) { binder in
            let destination = try fresh()
            let group = try ConsumerGroup("g")
            let subscribing = Task {
                try? await binder.withSubscription(to: destination, group: group, options: SubscriptionOptions()) { deliveries in
                    _ = try await deliveries.next()
                }
            }
            do throws(BinderError) {
                _ = try await binder.publish(Envelope(text: "x"), to: destination)
                // Only an answer that Redis could have given passes for one.
                #expect(answer.hasPrefix("+OK"))
            } catch {
                #expect([.unreachable, .timedOut, .broken, .rejected].contains(error.code), "\(error)")
            }
            subscribing.cancel()
            await subscribing.value
        }
    }
}

/// Sends the same bytes to whoever asks for anything.
private final class FakeServer: Sendable {
    let port: Int
    private let listener: Int32
    private struct Failed: Error {}

    init(answer: [UInt8]) throws {
        port = freePort()
        let listener = socket(AF_INET, carillon_sock_stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        guard isBound, listen(listener, 16) == 0 else { throw Failed() }
        self.listener = listener
        Thread {
            while true {
                let peer = accept(listener, nil, nil)
                guard peer >= 0 else { return }
                Thread {
                    var bytes = [UInt8](repeating: 0, count: 4096)
                    while recv(peer, &bytes, bytes.count, 0) > 0, send(peer, answer, answer.count, Int32(MSG_NOSIGNAL)) >= 0 {}
                    close(peer)
                }.start()
            }
        }.start()
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }
}
