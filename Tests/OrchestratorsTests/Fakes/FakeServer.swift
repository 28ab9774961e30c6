import HTTP
import JSON
import Locking

/// What an orchestrator that is only made up does with requests, and what others do to it. Keeps real state, and refuses in the words of the real one.
protocol FakeOrchestrator: Sendable {
    /// Whether the request shows that it comes from who holds `token`.
    func knows(_ request: HTTPRequest, token: String) -> Bool
    /// A refusal as the real one writes it.
    func refusal(_ status: Int, _ message: String) -> HTTPResponse
    /// What it says to a token that it does not know.
    var stranger: HTTPResponse { get }
    func answer(_ request: HTTPRequest) async -> HTTPResponse
    /// Whether it is a question that may wait.
    func waits(_ request: HTTPRequest) -> Bool

    /// What it wants now.
    var desired: Int { get }
    /// Counts that were taken over the wire, in order.
    var written: [Int] { get }
    /// Somebody else sets the count.
    func set(_ count: Int)
    /// So many of the instances are ready.
    func place(_ ready: Int)
    /// A deployment begins, or ends. Where there are none, nothing happens.
    func lock(_ isLocked: Bool)
    /// The target is there no more.
    func remove()
    /// Every stream of changes is cut, as by a proxy that restarts.
    func dropStreams()
    /// Streams that are open.
    var streams: Int { get }
}

/// The fault of every answer.
enum Fault: Sendable, Equatable {
    case refuses(Int, retryAfter: Int? = nil, says: String = "made up")
    case garbage
    /// Answers in a minute.
    case slow
}

/// Puts faults, tokens and a record of what was asked before a made-up orchestrator.
final class FakeServer: HTTPHandler {
    private struct State {
        var token: String?
        var fault: Fault?
        var isOfWritesOnly = false
        var beforeWrite: (@Sendable () -> Void)?
        var requests: [HTTPRequest] = []
    }
    let orchestrator: any FakeOrchestrator
    private let state: Locked<State>

    init(_ orchestrator: any FakeOrchestrator, token: String? = nil) {
        self.orchestrator = orchestrator
        state = Locked(State(token: token))
    }

    /// From now on only who shows this one is let in.
    func set(token: String?) { state.withLock { $0.token = token } }
    func set(fault: Fault?, writesOnly: Bool = false) {
        state.withLock { state in
            state.fault = fault
            state.isOfWritesOnly = writesOnly
        }
    }
    /// Done once, after everything that a client looks at and before its next write is.
    func beforeNextWrite(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.beforeWrite = body } }
    var requests: [HTTPRequest] { state.withLock { $0.requests } }

    func endsWithClient(_ request: HTTPRequest) -> Bool { state.withLock { $0.fault == .slow } || orchestrator.waits(request) }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        let (token, fault) = state.withLock { state in
            state.requests.append(request)
            return (state.token, state.isOfWritesOnly && request.method == "GET" ? nil : state.fault)
        }
        switch fault {
        case .refuses(let status, let after, let text):
            var response = orchestrator.refusal(status, text)
            if let after { response.headers["Retry-After"] = "\(after)" }
            return response
        case .garbage: return HTTPResponse(text: "<html>Welcome to the cafe's network</html>", type: "text/html")
        case .slow:
            try? await Task.sleep(for: .seconds(60))
            return HTTPResponse(503)
        case nil: break
        }
        if let token, !orchestrator.knows(request, token: token) { return orchestrator.stranger }
        if request.method != "GET",
            let before = state.withLock({ state in
                defer { state.beforeWrite = nil }
                return state.beforeWrite
            })
        {
            before()
        }
        return await orchestrator.answer(request)
    }
}

/// Streams of changes that are open.
final class FakeStreams: Sendable {
    private let open = Locked<[Int: AsyncStream<[UInt8]>.Continuation]>([:])
    private let next = Locked(0)

    var count: Int { open.withLock { $0.count } }

    func response(type: String, first: [UInt8] = []) -> HTTPResponse {
        let number = next.withLock { next in
            next += 1
            return next
        }
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self, bufferingPolicy: .bufferingNewest(1000))
        open.withLock { $0[number] = continuation }
        return HTTPResponse(
            200, headers: ["Content-Type": type],
            body: .stream { [self] writer in
                defer { open.withLock { $0[number] = nil } }
                if !first.isEmpty { try await writer.write(first) }
                for await bytes in stream { try await writer.write(bytes) }
            })
    }

    func send(_ text: String) { for stream in open.withLock({ Array($0.values) }) { stream.yield(Array(text.utf8)) } }

    func drop() {
        let all = open.withLock { open in
            defer { open = [:] }
            return Array(open.values)
        }
        for stream in all { stream.finish() }
    }
}

extension JSONValue {
    static func text(_ pairs: KeyValuePairs<String, JSONValue>) -> JSONValue { .object(pairs.map { JSONMember($0.key, $0.value) }) }
    static func integer(_ number: Int) -> JSONValue { .number("\(number)") }
}

extension HTTPResponse {
    init(_ status: Int = 200, json: JSONValue) { self.init(status, bytes: Array(json.written.utf8), type: "application/json") }
}
