import Glibc
import HTTP
import HTTPServer
import Telemetry
import TestSupport
import Testing
import ThreadExecutor

@Suite(.timeLimit(.minutes(2))) struct LimitTests {
    @Test func `a body is taken up to its limit and not a byte further`() async throws {
        var limits = HTTPServerLimits()
        limits.bodyBytes = 1000
        let body = String(repeating: "b", count: 1000)
        let chunks = (0..<10).map { _ in "64\r\n" + String(repeating: "b", count: 100) + "\r\n" }.joined()
        try await withServer(HTTPServerTests.router, limits: limits) { server in
            for (request, status) in [
                ("Content-Length: 1000\r\n\r\n\(body)", 200), ("Content-Length: 1001\r\n\r\n\(body)b", 413),
                ("Content-Length: 5000000000\r\n\r\n", 413), ("Transfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n", 200),
                ("Transfer-Encoding: chunked\r\n\r\n\(chunks)1\r\nb\r\n0\r\n\r\n", 413),
            ] {
                let answer = try await server.answer("POST /echo HTTP/1.1\r\nHost: test\r\n" + request)
                #expect(answer.status == status, "\(request.prefix(40))")
                #expect(status == 200 || answer.text == "the body is longer than 1000 bytes\n")
            }
        }
    }

    @Test func `who sends a body that is refused gets to read why`() async throws {
        try await withServer(HTTPServerTests.router) { server in
            let client = try server.client()
            try await client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 8388608\r\n\r\n")
            for _ in 0..<8 { try await client.send([UInt8](repeating: 98, count: 1 << 20)) }
            let text = try await client.untilEnd()
            #expect(text.hasPrefix("HTTP/1.1 413"), "a reset must not overtake the answer")
        }
    }

    @Test func `a chunked body far above the limit ends its connection`() async throws {
        var limits = HTTPServerLimits()
        limits.bodyBytes = 1000
        limits.discardedBytes = 100_000
        try await withServer(HTTPServerTests.router, limits: limits) { server in
            let client = try server.client()
            try await client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<40 { try await client.send(Array("2710\r\n".utf8) + [UInt8](repeating: 98, count: 10_000) + [13, 10]) }
            #expect(try await client.isClosed())
        }
    }

    @Test func `a header is taken up to its limit`() async throws {
        var limits = HTTPServerLimits()
        limits.headerBytes = 2000
        limits.headerFields = 10
        try await withServer(HTTPServerTests.router, limits: limits) { server in
            let frame = get("/hello", "X: ").utf8.count
            for (fields, status) in [
                (["X: " + String(repeating: "a", count: 2000 - frame)], 200), (["X: " + String(repeating: "a", count: 2001 - frame)], 431),
                ((0..<9).map { "X\($0): a" }, 200), ((0..<10).map { "X\($0): a" }, 431),
            ] {
                let answer = try await server.answer(
                    "GET /hello HTTP/1.1\r\nHost: test\r\n" + fields.joined(separator: "\r\n") + "\r\n\r\n")
                #expect(answer.status == status)
            }
        }
    }

    @Test func `more parameters in a target than the library could hold do no harm`() async throws {
        try await withServer(HTTPServerTests.router) { server in
            let answer = try await server.answer(get("/show/x?" + (0..<1500).map { "\($0)=1" }.joined(separator: "&")))
            #expect(answer.status == 200)
        }
    }

    @Test func `connections above the limit are closed and those below are served`() async throws {
        var limits = HTTPServerLimits()
        limits.connections = 4
        let metrics = Metrics()
        try await withServer(HTTPServerTests.router, limits: limits, threads: 1, metrics: metrics) { server in
            let clients = try (0..<4).map { _ in try server.client() }
            for client in clients {
                try await client.send(get("/hello"))
                #expect(try await client.answer().status == 200)
            }
            #expect(try await server.client().isClosed())
            try await clients[0].send(get("/hello", "Connection: close"))
            #expect(try await clients[0].untilEnd().hasPrefix("HTTP/1.1 200"))
            try await eventually("a free place is taken again") {
                let text = try await server.exchange(get("/hello", "Connection: close"))
                return text.hasPrefix("HTTP/1.1 200")
            }
            let text = metrics.prometheusText
            #expect(text.contains("carillon_http_open_connections 3") || text.contains("carillon_http_open_connections 4"))
            #expect(!text.contains("{reason=\"limit\"} 0"))
        }
    }

    @Test func `a connection that says nothing is cut`() async throws {
        var limits = HTTPServerLimits()
        limits.headerTime = .milliseconds(400)
        limits.idleTime = .milliseconds(400)
        let metrics = Metrics()
        try await withServer(HTTPServerTests.router, limits: limits, metrics: metrics) { server in
            #expect(try await server.client().isClosed())
            let idle = try server.client()
            try await idle.send(get("/hello"))
            #expect(try await idle.answer().status == 200)
            #expect(try await idle.isClosed(), "also after a request")
            let half = try server.client()
            try await half.send(get("/hello") + "GET /hel")
            #expect(try await half.answer().status == 200)
            #expect(try await half.isClosed(), "half a request line does not count as life")
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 0") }
            #expect(metrics.prometheusText.contains(#"carillon_http_cut_connections_total{reason="header"} 1"#))
            #expect(metrics.prometheusText.contains(#"carillon_http_cut_connections_total{reason="idle"} 2"#))
            #expect(metrics.prometheusText.contains(#"carillon_http_requests_total{status="2xx"} 2"#))
        }
    }

    @Test func `a body that trickles is cut`() async throws {
        var limits = HTTPServerLimits()
        limits.bodyGrace = .milliseconds(500)
        try await withServer(HTTPServerTests.router, limits: limits) { server in
            let client = try server.client()
            try await client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
            for _ in 0..<5 { try await client.send("b") }
            #expect(try await client.isClosed())
        }
    }

    @Test func `an answer that nobody reads is cut`() async throws {
        var limits = HTTPServerLimits()
        limits.sendGrace = .milliseconds(400)
        var router = Router()
        let bytes = [UInt8](repeating: 98, count: 32 << 20)  // more than the kernel keeps for a connection
        router.add("GET", "/large") { _, _ in HTTPResponse(bytes: bytes, type: "text/plain") }
        let metrics = Metrics()
        try await withServer(router, limits: limits, metrics: metrics) { server in
            let client = try server.client()
            try await client.send(get("/large"))
            try await eventually { metrics.prometheusText.contains(#"carillon_http_cut_connections_total{reason="send"} 1"#) }
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 0") }
            withExtendedLifetime(client) {}
        }
    }

    @Test func `a thousand clients of one byte a second are cut while others are served`() async throws {
        var limits = HTTPServerLimits()
        limits.headerTime = .seconds(2)
        limits.bodyGrace = .seconds(2)
        let metrics = Metrics()
        try await withServer(HTTPServerTests.router, limits: limits, metrics: metrics) { server in
            let slow = try SlowClients(count: 1000, port: server.port)
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 1000") }
            let thread = ThreadExecutor(name: "slow-clients")
            defer { thread.stop() }
            async let cut = thread.run { slow.trickle(limitInSeconds: 20) }
            var slowest = Duration.zero
            var served = 0
            while metrics.prometheusText.contains("carillon_http_open_connections 0") == false {
                let start = ContinuousClock.now
                #expect(try await server.answer(get("/hello", "Connection: close")).status == 200)
                slowest = max(slowest, ContinuousClock.now - start)
                served += 1
            }
            #expect(try await cut == 1000)
            #expect(served > 0)
            #expect(slowest < .seconds(5), "\(slowest)")
        }
    }
}

/// Half of them send a header, half a body, one byte a second each.
private struct SlowClients: Sendable {
    private let descriptors: [Int32]

    init(count: Int, port: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, max(limit.rlim_cur, rlim_t(4 * count)))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        descriptors = try (0..<count).map { number in
            let descriptor = try RawClient.connect(port)
            let start = Array((number % 2 == 0 ? "G" : "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n").utf8)
            _ = start.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            return descriptor
        }
    }

    /// Returns how many were closed by the server. Blocks.
    func trickle(limitInSeconds: Int) -> Int {
        var open = Set(descriptors)
        for second in 0..<limitInSeconds where !open.isEmpty {
            for descriptor in open {
                var byte = UInt8(ascii: second == 0 ? "E" : "T")
                var room: UInt8 = 0
                let isClosed = recv(descriptor, &room, 1, Int32(MSG_DONTWAIT)) == 0
                if isClosed || send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) < 0 {
                    close(descriptor)
                    open.remove(descriptor)
                }
            }
            usleep(1_000_000)  // the pace of these clients, not a wait for something
        }
        for descriptor in open { close(descriptor) }
        return descriptors.count - open.count
    }
}
