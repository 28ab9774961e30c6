import Channels
import HTTP
import Lifecycle
import LocalBinder
import Locking
import Streams
import Telemetry
import TestSupport

/// Event channels over an embedded broker, asked as a value.
struct ChannelBench: Sendable {
    let binder: LocalBinder
    let router: Router

    /// Runs channels around `body`.
    static func with<R: Sendable>(
        _ settings: ChannelSettings = ChannelSettings(), limits: LocalLimits = LocalLimits(), metrics: Metrics? = nil,
        _ body: @escaping @Sendable (ChannelBench) async throws -> R
    ) async throws -> R {
        let binder = LocalBinder(limits: limits)
        let channels = Channels(binder: binder, settings: settings, metrics: metrics)
        let bench = ChannelBench(binder: binder, router: channels.router)
        let group = ServiceGroup([binder, channels])
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
            await started.wait()
            defer { shutdown.request() }
            return try await body(bench)
        }
    }

    func ask(_ method: String, _ target: String, headers: HTTPHeaders = [:], body: String = "") async throws -> HTTPResponse {
        try await ask(method, target, headers: headers, bytes: Array(body.utf8))
    }

    func ask(_ method: String, _ target: String, headers: HTTPHeaders = [:], bytes: [UInt8]) async throws -> HTTPResponse {
        guard let request = HTTPRequest(method, target, headers: headers, body: bytes) else {
            throw CaseFailed(description: "\(target) cannot be asked for")
        }
        return await router.respond(to: request)
    }

    /// The JSON body of a successful answer.
    func json(_ method: String, _ target: String, headers: HTTPHeaders = [:], body: String = "") async throws -> WireValue {
        let response = try await ask(method, target, headers: headers, body: body)
        try demand(response.status == 200, "\(method) \(target) was answered \(response.status): \(response.text ?? "")")
        return try WireValue(response.bytes ?? [])
    }

    func pull(_ query: String = "", from group: String = "d/groups/g") async throws -> [WireValue] {
        try await json("POST", "/channels/\(group)/pull?\(query)")["deliveries"]?.array ?? []
    }

    /// Pulls until there are `count`: a pull on a busy machine may bring fewer than there are.
    func pullAll(_ count: Int, _ query: String = "") async throws -> [WireValue] {
        var all: [WireValue] = []
        for _ in 0..<100 where all.count < count { all += try await pull("max=\(count - all.count)&wait=5&\(query)") }
        try demand(all.count == count, "\(all.count) deliveries came instead of \(count)")
        return all
    }

    /// Results by token.
    func settle(_ body: String, in group: String = "d/groups/g") async throws -> [String?] {
        (try await json("POST", "/channels/\(group)/settle", body: body)["results"]?.array ?? []).map { $0["result"]?.string }
    }

    /// Reads an event stream while `body` runs.
    func withStream<R: Sendable>(
        _ target: String, headers: HTTPHeaders = [:], _ body: @escaping @Sendable (StreamReader) async throws -> R
    ) async throws -> R {
        let response = try await ask("GET", target, headers: headers)
        guard response.status == 200, case .stream(let write) = response.body else {
            throw CaseFailed(description: "\(target) was answered \(response.status): \(response.text ?? "")")
        }
        let reader = StreamReader()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try? await write(BodyWriter { reader.add($0) })
                reader.end()
            }
            defer { tasks.cancelAll() }
            return try await body(reader)
        }
    }
}

final class StreamReader: Sendable {
    private struct State {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        var comments = 0
        var hasEnded = false
    }
    private let state = Locked(State())

    func add(_ bytes: [UInt8]) {
        state.withLock { state in
            if bytes == ServerSentEvent.keepAlive { state.comments += 1 }
            state.events += (try? state.parser.feed(bytes)) ?? []
        }
    }

    func end() { state.withLock { $0.hasEnded = true } }

    var events: [ServerSentEvent] { state.withLock { $0.events } }
    var comments: Int { state.withLock { $0.comments } }
    var hasEnded: Bool { state.withLock { $0.hasEnded } }
    /// Payloads of the events that are deliveries.
    var payloads: [String] {
        events.filter { $0.event == nil }.compactMap { try? WireValue(Array($0.data.utf8))["payload"]?.string }
    }

    func events(_ count: Int) async throws -> [ServerSentEvent] {
        try await eventually(within: .seconds(30), "\(count) events of a stream") { events.count >= count }
        return events
    }
}
