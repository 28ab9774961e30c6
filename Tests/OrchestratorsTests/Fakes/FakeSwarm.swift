import HTTP
import JSON
import Locking

/// A manager of a swarm with the service `orders`, whose specification holds what a client must not touch. The words are those of Docker 20.10.
final class FakeSwarm: FakeOrchestrator {
    /// Odd numbers, unknown members, blanks, escapes that Go would not write, one member twice.
    static func spec(_ mode: String) -> String {
        #"{"Name":"orders", "Labels":{"a":"<b>&\u003c\/\u00e9","n":""},"TaskTemplate":{"ContainerSpec":{"Image":"x@sha256:00","StopGracePeriod":1.0e+10,"#
            + #""Unknown":[1.50,-0,9007199254740993,123456789012345678901234567890,1E400,[]]},"Resources":{"Limits":{"NanoCPUs":250000000}},"#
            + #""ForceUpdate":0,"Runtime":"container"},"Mode":\#(mode),"UpdateConfig":{"Parallelism":1,"MaxFailureRatio":0.30000000000000004},"Later":null,"Later":{} }"#
    }
    static let outOfSequence = #"{"message":"rpc error: code = Unknown desc = update out of sequence"}"#
    struct State {
        var index = 11
        var isThere = true
        var spec = Array(FakeSwarm.spec(#"{"Replicated":{ "Replicas": 3 }}"#).utf8)
        var running = 3
        var trouble: String?
        var written: [Int] = []
        var isManager = true
        var version = "1.41"
    }
    let state = Locked(State())
    private let changes = FakeStreams()

    var desired: Int { state.withLock { Self.replicas($0.spec) } }
    var written: [Int] { state.withLock { $0.written } }
    var streams: Int { changes.count }
    func waits(_ request: HTTPRequest) -> Bool { request.path.last == "events" }
    func knows(_ request: HTTPRequest, token: String) -> Bool { true }
    var stranger: HTTPResponse { refusal(403, "no") }
    func refusal(_ status: Int, _ message: String) -> HTTPResponse { HTTPResponse(status, json: .text(["message": .string(message)])) }

    private static func replicas(_ spec: [UInt8]) -> Int {
        Int((try? JSONReader.read(spec))?["Mode"]?["Replicated"]?["Replicas"]?.integer ?? 1)
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            state.index += 1
        }
        changes.send(
            #"{"Type":"service","Action":"update","Actor":{"ID":"0ike1ma1","Attributes":{"name":"orders"}},"scope":"swarm"}"# + "\n")
    }
    func set(_ count: Int) { change { $0.spec = Array(Self.spec(#"{"Replicated":{ "Replicas": \#(count) }}"#).utf8) } }
    func place(_ ready: Int) { change { $0.running = ready } }
    func lock(_ isLocked: Bool) {}
    func remove() { change { $0.isThere = false } }
    func dropStreams() { changes.drop() }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let state = state.withLock { $0 }
        if request.path == ["_ping"] { return HTTPResponse(200, text: "OK", headers: ["Api-Version": state.version]) }
        guard let version = request.path.first, version == "v\(state.version)" else {
            return refusal(
                400, "client version \(request.path.first?.dropFirst() ?? "") is too new. Maximum supported API version is \(state.version)"
            )
        }
        let path = Array(request.path.dropFirst())
        if path == ["events"] { return changes.response(type: "application/json") }
        guard state.isManager else {
            return refusal(
                503,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
            )
        }
        if path == ["tasks"] { return tasks(state, request) }
        guard path.count >= 2, path[0] == "services", ["orders", "0ike1ma1"].contains(path[1]), state.isThere else {
            return refusal(404, "service \(path.count > 1 ? path[1] : "") not found")
        }
        if path.count == 2, request.method == "GET" {
            let text = #"{"ID":"0ike1ma1","Version":{"Index":\#(state.index)},"Spec":"#
            return HTTPResponse(bytes: Array(text.utf8) + state.spec + Array(#","Endpoint":{"Spec":{}}}"#.utf8), type: "application/json")
        }
        guard path.count == 3, path[2] == "update", request.method == "POST" else { return refusal(404, "page not found") }
        return write(request)
    }

    private func write(_ request: HTTPRequest) -> HTTPResponse {
        guard let body = try? JSONReader.read(request.body), body["Mode"]?["Replicated"] != nil else {
            return refusal(400, "unexpected EOF")
        }
        let isTaken = state.withLock { state in
            guard request.parameter("version") == "\(state.index)" else { return false }
            state.written.append(Self.replicas(request.body))
            return true
        }
        guard isTaken else { return HTTPResponse(500, text: Self.outOfSequence, type: "application/json") }
        change { state in
            state.spec = request.body
            state.running = min(state.running, Self.replicas(request.body))
        }
        return HTTPResponse(json: .text(["Warnings": .null]))
    }

    private func tasks(_ state: State, _ request: HTTPRequest) -> HTTPResponse {
        guard let filters = request.parameter("filters").flatMap({ try? JSONReader.read(Array($0.utf8)) }),
            filters["service"] == .array([.string("orders")]), filters["desired-state"] == .array([.string("running")])
        else { return refusal(400, "invalid filter") }
        let count = max(state.running, Self.replicas(state.spec))
        return HTTPResponse(
            json: .array(
                (0..<count).map { number in
                    var status = [JSONMember("State", .string(number < state.running ? "running" : "pending"))]
                    if number >= state.running, let trouble = state.trouble { status.append(JSONMember("Err", .string(trouble))) }
                    return .text(["ID": .string("t\(number)"), "Status": .object(status), "DesiredState": .string("running")])
                }))
    }
}
