import ConfigClient
import ConfigModel
import Files
import Foundation
import HTTP
import Lifecycle
import Locking
import Telemetry
import TestSupport
import Testing

/// Collects log lines.
final class Lines: Sendable {
    private let lines = Locked<[String]>([])
    var log: Log { Log(part: "test") { _, line in self.lines.withLock { $0.append(line) } } }
    func count(_ text: String) -> Int { lines.withLock { $0.count { $0.contains(text) } } }
    func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
}

@Suite(.timeLimit(.minutes(1)))
struct ConfigClientTests {
    private func settings(_ servers: [String], _ folder: String? = nil) -> ConfigClientSettings {
        ConfigClientSettings(
            servers: servers, application: "app", profiles: ["dev", "eu"], label: "feature/x", token: "secret-token", cacheFolder: folder,
            pollInterval: .milliseconds(50), spread: .zero, attempts: 1)
    }

    @Test func `the request is Spring's, with entity tag and minimum version, and an equal answer changes nothing`() async throws {
        let canned = CannedConfiguration(["pool.size": "8"])
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings([server.url + "/"]))
            #expect(config.state == .none)
            try await config.start()
            #expect(try config.int("pool.size") == 8)
            #expect(config.snapshot?.version == "v1")
            let first = try #require(canned.requests.first)
            #expect(first.pathText == "/app/dev,eu/feature(_)x")
            #expect(first.headers["Accept"] == "application/vnd.spring-cloud.config-server.v2+json")
            #expect(first.headers["Authorization"] == "Bearer secret-token")
            #expect(first.headers["If-None-Match"] == nil)

            canned.set(["pool.size": "8"], version: "v2")
            let update = try await config.refresh(minimumVersion: "v2")
            #expect(update.outcome == .unchanged && update.keys.isEmpty)
            #expect(config.snapshot?.version == "v2")
            #expect(canned.requests.last?.headers["If-None-Match"] != nil)
            #expect(canned.requests.last?.headers["X-Config-Min-Version"] == "v2")

            canned.set(["pool.size": "9", "new": "x"], version: "v3")
            let change = try await config.refresh(minimumVersion: "a,b\r\nX-Evil: c")
            #expect(canned.requests.last?.headers["X-Config-Min-Version"] == nil)
            #expect(change.outcome == .applied && change.keys == ["new", "pool.size"])
            #expect(try config.int("pool.size") == 9)
            canned.set([:], version: "v4")
            #expect(try await config.refresh().keys == ["new", "pool.size"], "what vanished is gone")
            #expect(config.contains("new") == false)
        }
    }

    @Test(arguments: [
        (401, ConfigError.Code.refused), (403, .refused), (404, .notFound), (400, .invalid), (500, .unreachable), (503, .unreachable),
    ])
    func `an answer without a configuration has its error, which names no secret`(_ status: Int, _ code: ConfigError.Code) async throws {
        let canned = CannedConfiguration([:])
        canned.set(status: status)
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings(["http://user:password@127.0.0.1:\(server.port)"]))
            let error = await #expect(throws: ConfigError.self) { try await config.start() }
            #expect(error?.code == code)
            #expect(error?.message.contains("/app/dev,eu/feature(_)x") == true)
            #expect(error?.message.contains("password") == false && error?.message.contains("secret-token") == false)
        }
    }

    @Test(arguments: [
        "", "[]", "{}", "null", "{\"name\":1}", "{\"name\":\"a\",\"propertySources\":[{\"name\":\"b\"}]}", "\u{FFFD}{", "<html>",
    ])
    func `an answer that is no environment is an error`(_ body: String) async throws {
        struct Fixed: HTTPHandler {
            let body: String
            func respond(to request: HTTPRequest) async -> HTTPResponse { HTTPResponse(text: body) }
        }
        try await TestHTTPServer.with(Fixed(body: body)) { server in
            let config = try ConfigClient(settings([server.url]))
            #expect(await #expect(throws: ConfigError.self) { try await config.start() }?.code == .broken)
        }
    }

    @Test func `servers are asked in order, and one that failed is asked last for a while`() async throws {
        let (first, second) = (CannedConfiguration(["from": "first"]), CannedConfiguration(["from": "second"]))
        try await TestHTTPServer.with(first) { one in
            try await TestHTTPServer.with(second) { two in
                let config = try ConfigClient(settings([one.url, two.url]))
                try await config.start()
                #expect(try config.string("from") == "first")
                first.set(status: 500)
                try await config.refresh()
                #expect(try config.string("from") == "second")
                let count = first.requests.count
                try await config.refresh()
                #expect(first.requests.count == count, "the one that failed was not asked")
                second.set(status: 503)
                let error = await #expect(throws: ConfigError.self) { try await config.refresh() }
                #expect(error?.message.contains(":\(one.port)/") == true && error?.message.contains(":\(two.port)/") == true)
            }
        }
    }

    @Test func `without a server it starts from the last known good, says since when, and comes back`() async throws {
        try await withFolder { folder in
            let canned = CannedConfiguration(["pool.size": "8"])
            let server = try await TestHTTPServer.start(canned, port: freePort())
            let before = Timestamp.now.milliseconds
            try await ConfigClient(settings([server.url], folder)).start()
            try await server.stop()

            let config = try ConfigClient(settings([server.url], folder))
            try await config.start()
            #expect(try config.int("pool.size") == 8)
            guard case .stale(let since, let reason) = config.state else { throw NotInTimeMarker() }
            #expect(since >= before && since <= Timestamp.now.milliseconds)
            #expect(reason.contains("\(server.port)"))

            let again = try await TestHTTPServer.start(canned, port: server.port)
            let update = try await config.refresh()
            #expect(update.outcome == .unchanged)
            guard case .current = config.state else { throw NotInTimeMarker() }
            try await again.stop()
            await #expect(throws: ConfigError.self) { try await config.refresh() }
            guard case .stale = config.state else { throw NotInTimeMarker() }
            #expect(try config.int("pool.size") == 8, "what is in memory stays")
        }
    }
    struct NotInTimeMarker: Error {}

    @Test func `a corrupt last known good is refused with a line in the log`() async throws {
        try await withFolder { folder in
            let canned = CannedConfiguration(["pool.size": "8"])
            let server = try await TestHTTPServer.start(canned, port: freePort())
            try await ConfigClient(settings([server.url], folder)).start()
            try await server.stop()
            let file = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
            let path = folder + "/" + file
            var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
            bytes[bytes.count - 4] ^= 1
            try PrivateFile.write(bytes, to: path, mode: 0o600)
            let lines = Lines()
            let config = try ConfigClient(settings([server.url], folder), log: lines.log)
            #expect(await #expect(throws: ConfigError.self) { try await config.start() }?.code == .unreachable)
            #expect(lines.contains("corrupt"))
        }
    }

    @Test func `listeners of a prefix see its changes whole, also when they are slow`() async throws {
        let canned = CannedConfiguration(["pool.size": "1", "other": "a"])
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings([server.url]))
            try await config.start()
            var pool = config.changes(of: "pool.").makeAsyncIterator()
            var all = config.changes().makeAsyncIterator()
            canned.set(["pool.size": "1", "other": "b"], version: "v2")
            try await config.refresh()
            canned.set(["pool.size": "2", "other": "b"], version: "v3")
            try await config.refresh()
            canned.set(["pool.size": "2", "pool.max": "3", "other": "b"], version: "v4")
            try await config.refresh()
            let change = try #require(await pool.next())
            #expect(change.keys == ["pool.max", "pool.size"])
            #expect(change.snapshot.version == "v4")
            #expect(await all.next()?.keys == ["other", "pool.max", "pool.size"])

            let waiting = Task { await pool.next() == nil }
            waiting.cancel()
            #expect(await waiting.value)
        }
    }

    @Test func `a scope is made anew when a key that it read changes, and only then`() async throws {
        let canned = CannedConfiguration(["pool.size": "1", "other": "a", "hosts[0]": "x"])
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings([server.url]))
            #expect(throws: ConfigError.self) { try config.scoped { $0.version } }
            try await config.start()
            let box = Counter()
            let scope = try config.scoped { snapshot in
                box.count()
                return try "\(snapshot.int("pool.size")) \(snapshot.strings("hosts").joined())"
            }
            #expect(scope.value == "1 x")
            canned.set(["pool.size": "1", "other": "b", "hosts[0]": "x"], version: "v2")
            try await config.refresh()
            #expect(box.total == 1)
            canned.set(["pool.size": "1", "other": "b", "hosts[0]": "x", "hosts[1]": "y"], version: "v3")
            try await config.refresh()
            #expect(scope.value == "1 xy")
            #expect(box.total == 2)
        }
    }

    @Test func `a change that a scope cannot take is not taken at all`() async throws {
        let canned = CannedConfiguration(["a": "1", "b": "1"])
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings([server.url]))
            try await config.start()
            let a = try config.scoped { try $0.int("a") }
            let b = try config.scoped { try $0.int("b") }
            canned.set(["a": "2", "b": "secret"], version: "v2")
            let error = await #expect(throws: ConfigError.self) { try await config.refresh() }
            #expect(error?.code == .rejected)
            #expect(error?.message.contains("secret") == false && error?.message.contains("b is not an integer") == true)
            #expect(a.value == 1 && b.value == 1)
            #expect(try config.int("a") == 1 && config.snapshot?.version == "v1")
            canned.set(["a": "3", "b": "4"], version: "v3")
            try await config.refresh()
            #expect(a.value == 3 && b.value == 4)
        }
    }

    @Test func `what a server says about its own state is logged once`() async throws {
        let canned = CannedConfiguration(["a": "1"])
        try await TestHTTPServer.with(canned) { server in
            let lines = Lines()
            let config = try ConfigClient(settings([server.url]), log: lines.log)
            canned.set(fields: ["X-Config-Rejected": "bad1 reason", "X-Config-Stale": "since 1"])
            for _ in 0..<3 { try await config.refresh() }
            canned.set(fields: ["X-Config-Rejected": "bad2 reason", "X-Config-Stale": "since 2"])
            for _ in 0..<3 { try await config.refresh() }
            #expect(lines.count("bad1") == 1 && lines.count("bad2") == 1)
            #expect(lines.count("cannot read its repository") == 1)
        }
    }

    @Test func `a last known good saves the wait for a server that is away`() async throws {
        try await withFolder { folder in
            let canned = CannedConfiguration(["a": "1"])
            let server = try await TestHTTPServer.start(canned, port: freePort())
            try await ConfigClient(settings([server.url], folder)).start()
            canned.set(status: 503)
            var patient = settings([server.url], folder)
            patient.attempts = 1000
            let config = try ConfigClient(patient)
            let count = canned.requests.count
            try await config.start()
            #expect(canned.requests.count == count + 1)
            #expect(config.snapshot?.version == "v1")
            try await server.stop()
        }
    }

    @Test func `as a service it notices a change without an event`() async throws {
        let canned = CannedConfiguration(["a": "1"])
        try await TestHTTPServer.with(canned) { server in
            let config = try ConfigClient(settings([server.url]))
            let shutdown = ShutdownSignal()
            let task = Task { try await ConfigClientService(config).run(ServiceLife(shutdown: shutdown)) }
            try await eventually { config.snapshot != nil }
            canned.set(["a": "2"], version: "v2")
            try await eventually { try config.int("a") == 2 }
            canned.set(status: 500)
            try await eventually { if case .stale = config.state { true } else { false } }
            canned.set(["a": "3"], version: "v3")
            try await eventually { try config.int("a") == 3 }
            shutdown.request()
            try await task.value
        }
    }

    @Test func `a failed refresh is tried again, and ends at once when it is cancelled`() async throws {
        let canned = CannedConfiguration(["a": "1"])
        canned.set(status: 503)
        try await TestHTTPServer.with(canned) { server in
            var settings = settings([server.url])
            settings.attempts = 100
            let config = try ConfigClient(settings)
            let task = Task { try await config.start().version }
            try await eventually { canned.requests.count >= 2 }
            canned.set(["a": "1"], version: "v2")
            #expect(try await task.value == "v2")
            canned.set(status: 503)
            let cancelled = Task { try await config.refresh() }
            try await eventually { if case .stale = config.state { true } else { false } }
            cancelled.cancel()
            let error = await #expect(throws: ConfigError.self) { try await cancelled.value }
            #expect(error?.code == .cancelled)
        }
    }
}

final class Counter: Sendable {
    private let number = Locked(0)
    func count() { number.withLock { $0 += 1 } }
    var total: Int { number.withLock { $0 } }
}
