import Streams
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct FaultProxyTests {
    private let server = EchoServer()
    private let proxy: FaultProxy
    private let port: Int

    init() throws {
        proxy = try FaultProxy()
        port = try proxy.port(to: BrokerAddress(host: "localhost", port: server.port))
    }

    private func connection() throws -> RawConnection { try #require(RawConnection(to: port)) }

    @Test func `bytes go through unchanged both ways, and so does the end`() async throws {
        let one = try connection()
        let other = try connection()
        one.send("one")
        other.send("other")
        try await one.expect("one")
        try await other.expect("other")
        let long = String(repeating: "0123456789", count: 10_000)
        let writer = Task { long.utf8.count == 0 || one.send(long) }
        try await one.expect(long)
        #expect(await writer.value)
        one.finish()
        try await one.expect(.end)
        #expect(proxy.accepted == 2)
        try await eventually { proxy.open == 1 }
        #expect(proxy.bytes.toBroker == 100_008 && proxy.bytes.fromBroker == 100_008)
    }

    @Test func `a reset ends every connection at once, and new ones go through`() async throws {
        let one = try connection()
        one.send("x")
        try await one.expect("x")
        await proxy.reset()
        try await one.expect(.reset)
        #expect(proxy.open == 0)
        let next = try connection()
        next.send("y")
        try await next.expect("y")
    }

    @Test func `what is held arrives when the flow passes again`() async throws {
        let one = try connection()
        one.send("a")
        try await one.expect("a")
        await proxy.set(fromBroker: .hold)
        one.send("b")
        try await eventually { proxy.bytes.toBroker == 2 }
        #expect(one.receive() == .nothing)
        await proxy.set()
        try await one.expect("b")
        await proxy.set(toBroker: .hold)
        one.send("c")
        #expect(proxy.bytes.toBroker == 2)
        await proxy.set()
        try await one.expect("c")
    }

    @Test func `what is swallowed never arrives, and its connection is reset afterwards`() async throws {
        let one = try connection()
        let quiet = try connection()
        one.send("a")
        try await one.expect("a")
        quiet.send("q")
        try await quiet.expect("q")
        await proxy.set(toBroker: .swallow, fromBroker: .swallow)
        one.send("lost")
        try await eventually { proxy.bytes.toBroker == 6 }
        #expect(one.receive() == .nothing)
        await proxy.set()
        try await one.expect(.reset)
        // A connection that has lost nothing goes on.
        quiet.send("still here")
        try await quiet.expect("still here")
    }

    @Test func `delayed bytes come later, in order`() async throws {
        let one = try connection()
        await proxy.set(toBroker: .delay(.milliseconds(150)), fromBroker: .delay(.milliseconds(150)))
        let start = ContinuousClock.now
        one.send("a")
        one.send("b")
        try await one.expect("ab")
        #expect(ContinuousClock.now - start >= .milliseconds(300))
    }

    @Test func `refused connections find nobody, until they are taken again on the same port`() async throws {
        await proxy.refuse(true)
        #expect(RawConnection(to: port) == nil)
        #expect(proxy.accepted == 0)
        await proxy.refuse(false)
        let one = try connection()
        one.send("x")
        try await one.expect("x")
    }

    @Test func `an abandoned connection is gone for the client and open for the server`() async throws {
        let one = try connection()
        one.send("x")
        try await one.expect("x")
        await proxy.abandon()
        try await one.expect(.reset)
        #expect(proxy.open == 0)
        let next = try connection()
        next.send("y")
        try await next.expect("y")
    }

    @Test func `each broker has a port of its own, always the same`() throws {
        let other = EchoServer()
        let address = BrokerAddress(host: "127.0.0.1", port: other.port)
        let first = try proxy.port(to: address)
        #expect(first != port)
        #expect(try proxy.port(to: address) == first)
    }

    @Test func `a broker that is not there ends the client's connection`() async throws {
        let nobody = try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: 1))
        let one = try #require(RawConnection(to: nobody))
        try await one.expect(.reset)
    }
}
