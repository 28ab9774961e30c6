import HTTP
import HTTPServer
import Lifecycle
import Locking
import Telemetry
import TestSupport
import Testing

/// Routes that wait, and what became of them.
private final class Waiting: Sendable {
    struct Log {
        var begun = 0
        var cancelled = 0
        var finished = 0
    }
    let log = Locked(Log())

    var router: Router {
        var router = HTTPServerTests.router
        router.add("GET", "/poll", endsWithClient: true) { [self] _, _ in try await wait(for: .seconds(60)) }
        router.add("GET", "/ordinary") { [self] _, _ in try await wait(for: .milliseconds(700)) }
        router.add("GET", "/events") { [self] _, _ in
            HTTPResponse(
                200, headers: ["Content-Type": "text/event-stream"],
                body: .stream { [self] writer in
                    try await writer.write(ServerSentEvent(event: "ready", data: "").bytes)
                    _ = try await wait(for: .seconds(60))
                })
        }
        router.add("GET", "/numbers") { request, _ in
            let count = Int(request.parameter("count") ?? "") ?? 0
            return HTTPResponse(
                200, headers: ["Content-Type": "text/plain"],
                body: .stream { writer in for number in 0..<count { try await writer.write(Array("\(number)\n".utf8)) } })
        }
        router.add("GET", "/broken") { _, _ in
            HTTPResponse(
                200,
                body: .stream { writer in
                    try await writer.write(Array("half".utf8))
                    throw Broken()
                })
        }
        router.add("GET", "/flood") { [self] _, _ in
            HTTPResponse(
                200,
                body: .stream { [self] writer in
                    log.withLock { $0.begun += 1 }
                    do {
                        while true { try await writer.write([UInt8](repeating: 98, count: 10_000)) }
                    } catch {
                        log.withLock { $0.cancelled += 1 }
                        throw error
                    }
                })
        }
        return router
    }

    private func wait(for duration: Duration) async throws -> HTTPResponse {
        log.withLock { $0.begun += 1 }
        do { try await Task.sleep(for: duration) } catch {
            log.withLock { $0.cancelled += 1 }
            throw error
        }
        log.withLock { $0.finished += 1 }
        return HTTPResponse(text: "waited\n")
    }
    private struct Broken: Error {}

    func untilBegun(_ count: Int) async throws { try await until("begun", count) { $0.begun } }
    func untilCancelled(_ count: Int) async throws { try await until("cancelled", count) { $0.cancelled } }

    private func until(_ what: String, _ count: Int, _ value: @Sendable (Log) -> Int) async throws {
        do { try await eventually(within: .seconds(20)) { value(self.log.withLock { $0 }) == count } } catch {
            throw RawClient.Failure(what: "\(value(log.withLock { $0 })) instead of \(count) have \(what) after 20 s")
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct LeavingClientTests {
    @Test(arguments: ["/poll", "/events"])
    func `a client that leaves is noticed within a second and its task cancelled`(_ path: String) async throws {
        let waiting = Waiting()
        let metrics = Metrics()
        try await withServer(waiting.router, metrics: metrics) { server in
            // The best of five: other tests keep the machine busy.
            var best = Duration.seconds(60)
            for attempt in 1...5 where best > .seconds(1) {
                var client: RawClient? = try server.client()
                try await client?.send(get(path))
                try await waiting.untilBegun(attempt)
                let left = ContinuousClock.now
                client = nil
                try await waiting.untilCancelled(attempt)
                best = min(best, ContinuousClock.now - left)
            }
            #expect(best < .seconds(1))
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 0") }
        }
    }

    @Test(arguments: ["/poll", "/events"]) func `a client that resets or half closes a waiting request is noticed`(_ path: String)
        async throws
    {
        let waiting = Waiting()
        try await withServer(waiting.router) { server in
            let half = try server.client()
            try await half.send(get(path))
            try await waiting.untilBegun(1)
            half.closeWriting()
            try await waiting.untilCancelled(1)
            let gone = try server.client()
            try await gone.send(get(path))
            try await waiting.untilBegun(2)
            gone.reset()
            try await waiting.untilCancelled(2)
        }
    }

    @Test func `a client that leaves together with its request is noticed`() async throws {
        let waiting = Waiting()
        let metrics = Metrics()
        try await withServer(waiting.router, metrics: metrics) { server in
            for _ in 0..<50 {
                let client = try server.client()
                try await client.send(get("/poll"))
                client.closeWriting()
            }
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 0") }
            try await eventually("every task that began is cancelled") { waiting.log.withLock { $0.begun == $0.cancelled } }
        }
    }

    @Test func `an ordinary request is answered though its client has closed its side`() async throws {
        let waiting = Waiting()
        try await withServer(waiting.router) { server in
            let client = try server.client()
            try await client.send(get("/ordinary"))
            client.closeWriting()
            #expect(try await client.untilEnd().hasSuffix("waited\n"))
            #expect(waiting.log.withLock { $0.cancelled } == 0)
        }
    }

    @Test func `three hundred waiting clients that leave at once are all noticed`() async throws {
        let waiting = Waiting()
        try await withServer(waiting.router) { server in
            var clients: [RawClient] = []
            for _ in 0..<300 {
                let client = try server.client()
                // At once: on a busy machine the deadline of a header may pass before all have connected.
                try await client.send(get("/poll"))
                clients.append(client)
            }
            try await waiting.untilBegun(300)
            clients = []
            try await waiting.untilCancelled(300)
        }
    }

    @Test func `a stream arrives piece by piece and whole`() async throws {
        let waiting = Waiting()
        try await withServer(waiting.router) { server in
            let client = try server.client()
            try await client.send(get("/events"))
            #expect(try await client.until("event: ready").contains("HTTP/1.1 200"))
            let text = try await server.exchange("GET /numbers?count=50000 HTTP/1.0\r\n\r\n")
            let body = text.split(separator: "\r\n\r\n", maxSplits: 1).last ?? ""
            #expect(body.split(separator: "\n").elementsEqual((0..<50_000).map { "\($0)" }))
        }
    }

    @Test func `the connection of a stream that has ended serves the next request`() async throws {
        try await withServer(Waiting().router) { server in
            let client = try server.client()
            for _ in 0..<20 {
                try await client.send(get("/numbers?count=3"))
                let text = try await client.until("0\r\n\r\n")
                #expect(text.contains("ransfer-Encoding: chunked"))
                #expect(text.hasSuffix("\r\n0\r\n\r\n"))
            }
            try await client.send(get("/hello"))
            #expect(try await client.answer().text == "hello\n")
        }
    }

    @Test func `HEAD of a stream has its header and does not begin it`() async throws {
        let waiting = Waiting()
        try await withServer(waiting.router) { server in
            let text = try await server.exchange("HEAD /events HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200") && text.contains("text/event-stream"))
            #expect(text.hasSuffix("\r\n\r\n") && !text.contains("0\r\n\r\n"))
            #expect(waiting.log.withLock { $0.begun } == 0)
        }
    }

    @Test func `a stream that breaks does not end as if it were whole`() async throws {
        try await withServer(Waiting().router) { server in
            let text = try await server.exchange(get("/broken"))
            #expect(text.contains("half"))
            #expect(!text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func `a writer waits for its reader, and a reader that takes nothing is cut`() async throws {
        var limits = HTTPServerLimits()
        limits.sendGrace = .milliseconds(500)
        let waiting = Waiting()
        let metrics = Metrics()
        try await withServer(waiting.router, limits: limits, metrics: metrics) { server in
            let client = try server.client()
            try await client.send(get("/flood"))
            try await waiting.untilBegun(1)
            try await waiting.untilCancelled(1)
            #expect(metrics.prometheusText.contains(#"carillon_http_cut_connections_total{reason="send"} 1"#))
            withExtendedLifetime(client) {}
        }
    }

    @Test func `an idle stream is left alone`() async throws {
        var limits = HTTPServerLimits()
        limits.sendGrace = .milliseconds(300)
        limits.idleTime = .milliseconds(300)
        limits.headerTime = .seconds(2)
        let waiting = Waiting()
        let metrics = Metrics()
        try await withServer(waiting.router, limits: limits, metrics: metrics) { server in
            let client = try server.client()
            try await client.send(get("/events"))
            #expect(try await client.until("event: ready").contains("event: ready"))
            #expect(try await server.client().isClosed(), "all limits have passed by then")
            #expect(waiting.log.withLock { $0.cancelled } == 0)
            try await eventually { metrics.prometheusText.contains("carillon_http_open_connections 1") }
        }
    }
}
