import HTTP
import HTTPServer
import Lifecycle
import Locking
import TestSupport
import Testing

/// A route that answers when the test says so.
private final class Gate: Sendable {
    let opened = ShutdownSignal()
    let begun = Locked(0)
    let cancelled = Locked(0)

    var router: Router {
        var router = HTTPServerTests.router
        router.add("GET", "/gate") { [self] _, _ in
            begun.withLock { $0 += 1 }
            await opened.wait()
            return HTTPResponse(text: "opened\n")
        }
        router.add("GET", "/poll", endsWithClient: true) { [self] _, _ in
            begun.withLock { $0 += 1 }
            do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.withLock { $0 += 1 } }
            return HTTPResponse(204)
        }
        router.add("GET", "/events") { [self] _, _ in
            HTTPResponse(
                200,
                body: .stream { [self] writer in
                    try await writer.write(Array("first\n".utf8))
                    begun.withLock { $0 += 1 }
                    do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.withLock { $0 += 1 } }
                })
        }
        return router
    }

    func untilBegun(_ count: Int) async throws { try await eventually { self.begun.withLock { $0 } == count } }
}

@Suite(.timeLimit(.minutes(1))) struct DrainTests {
    @Test func `requests in hand are answered, new connections refused, idle ones closed`() async throws {
        let gate = Gate()
        try await withServer(gate.router) { server in
            let idle = try server.client()
            try await idle.send(get("/hello"))
            #expect(try await idle.answer().status == 200)
            let waiting = try (0..<10).map { _ in try server.client() }
            for client in waiting { try await client.send(get("/gate")) }
            try await gate.untilBegun(10)
            server.shutdown.request()
            #expect(try await idle.isClosed())
            try await eventually("new connections are refused") {
                do { _ = try server.client() } catch { return true }
                return false
            }
            #expect(!server.ended.isRequested)
            gate.opened.request()
            for client in waiting {
                let answer = try await client.answer()
                #expect(answer.status == 200)
                #expect(answer.field("connection")?.lowercased() == "close")
                #expect(try await client.isClosed())
            }
            await server.ended.wait()
        }
    }

    @Test func `streams and long polls are ended`() async throws {
        let gate = Gate()
        try await withServer(gate.router, drainTime: .seconds(20)) { server in
            let start = ContinuousClock.now
            let events = try server.client()
            try await events.send(get("/events"))
            let poll = try server.client()
            try await poll.send(get("/poll"))
            try await gate.untilBegun(2)
            server.shutdown.request()
            #expect(try await events.untilEnd().hasSuffix("first\n\r\n0\r\n\r\n"), "the end of a stream is an orderly one")
            #expect(try await poll.answer().status == 204)
            await server.ended.wait()
            #expect(gate.cancelled.withLock { $0 } == 2)
            #expect(ContinuousClock.now - start < .seconds(15), "nobody waits for the end of the time for draining")
        }
    }

    @Test func `what is not answered in time is cut, and the server ends`() async throws {
        let gate = Gate()
        try await withServer(gate.router, drainTime: .milliseconds(500)) { server in
            let client = try server.client()
            try await client.send(get("/gate"))
            let half = try server.client()
            try await half.send("GET /hel")
            try await gate.untilBegun(1)
            server.shutdown.request()
            #expect(try await client.isClosed())
            #expect(try await half.isClosed())
            await server.ended.wait()
            gate.opened.request()
        }
    }

    @Test func `a request that waits in the kernel when the drain begins is still answered`() async throws {
        for _ in 0..<20 {
            try await withServer(HTTPServerTests.router) { server in
                let clients = try (0..<20).map { _ in try server.client() }
                for client in clients { try await client.send(get("/hello")) }
                server.shutdown.request()
                for client in clients {
                    let answer = try await client.answer()
                    #expect(answer.status == 200)
                }
            }
        }
    }

    @Test func `a cancelled server ends at once`() async throws {
        let gate = Gate()
        let server = HTTPServer(configuration: HTTPServerConfiguration(port: 0, drainTime: .seconds(60)), handler: gate.router)
        let started = ShutdownSignal()
        let task = Task { try await server.run(ServiceLife(onStarted: { started.request() })) }
        await started.wait()
        let client = try RawClient(port: server.port)
        try await client.send(get("/gate"))
        try await gate.untilBegun(1)
        task.cancel()
        try await task.value
        #expect(try await client.isClosed())
        gate.opened.request()
    }

    @Test func `a port that is taken is named together with the remedy`() async throws {
        try await withServer(HTTPServerTests.router) { server in
            let port = server.port
            let second = HTTPServer(configuration: HTTPServerConfiguration(port: port), handler: HTTPServerTests.router)
            let error = await #expect(throws: HTTPServerError.portTaken(address: "127.0.0.1", port: port)) {
                try await second.run(ServiceLife())
            }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
            #expect(error?.description.contains("--port") == true)
        }
    }

    @Test(arguments: ["localhost", "0.0.0.0"]) func `names and wildcards are listened on by IPv4`(_ address: String) async throws {
        let server = HTTPServer(configuration: HTTPServerConfiguration(address: address, port: 0), handler: HTTPServerTests.router)
        let started = ShutdownSignal()
        let shutdown = ShutdownSignal()
        let task = Task { try await server.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let client = try RawClient(port: server.port)
        try await client.send(get("/hello"))
        #expect(try await client.answer().status == 200)
        shutdown.request()
        try await task.value
    }

    @Test func `an address that this host has not is named`() async throws {
        let server = HTTPServer(configuration: HTTPServerConfiguration(address: "192.0.2.1", port: 0), handler: HTTPServerTests.router)
        await #expect(throws: HTTPServerError.addressUnknown(address: "192.0.2.1", reason: "this host does not have it")) {
            try await server.run(ServiceLife())
        }
    }
}
