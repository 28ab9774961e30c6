import Crypto
import HTTP
import JSON
import Locking

/// A Marathon with the app `/shop/orders`, behind the login of DC/OS.
final class FakeMarathon: FakeOrchestrator {
    struct State {
        var version = 1
        var isThere = true
        var desired = 3
        var running = 3
        /// Nil: the app has no health check.
        var healthy: Int?
        var deployments: [String] = []
        var written: [Int] = []
        var queue: [JSONValue] = []
        /// What the login gives for which account.
        var account: (uid: String, password: String)?
        var logins = 0
        var isFull = false
    }
    let state = Locked(State())
    private let changes = FakeStreams()

    var desired: Int { state.withLock { $0.desired } }
    var written: [Int] { state.withLock { $0.written } }
    var streams: Int { changes.count }
    func waits(_ request: HTTPRequest) -> Bool { request.path.last == "events" }
    func knows(_ request: HTTPRequest, token: String) -> Bool {
        request.path.first == "acs" || request.headers["Authorization"] == "token=\(token)"
            || request.headers["Authorization"] == "Basic \(Base64.encode(Array(token.utf8)))"
    }
    var stranger: HTTPResponse { refusal(401, "Invalid username or password.") }
    func refusal(_ status: Int, _ message: String) -> HTTPResponse { HTTPResponse(status, json: .text(["message": .string(message)])) }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            state.version += 1
        }
        changes.send("event: status_update_event\ndata: {\"appId\":\"/shop/orders\",\"eventType\":\"status_update_event\"}\n\n")
    }
    func set(_ count: Int) { change { $0.desired = count } }
    func place(_ ready: Int) {
        state.withLock { $0.running = ready }
        changes.send("event: status_update_event\ndata: {\"appId\":\"/shop/orders\"}\n\n")
    }
    func lock(_ isLocked: Bool) { state.withLock { $0.deployments = isLocked ? ["97c136bf"] : [] } }
    func remove() { change { $0.isThere = false } }
    func dropStreams() { changes.drop() }
    /// Something happens to another app.
    func disturb() { changes.send("event: status_update_event\ndata: {\"appId\":\"/other\"}\n\n") }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        if request.path == ["acs", "api", "v1", "auth", "login"] { return login(request) }
        var path = request.path
        // A cluster puts Marathon below a path.
        if path.starts(with: ["service", "marathon"]) { path.removeFirst(2) }
        let state = state.withLock { $0 }
        switch (request.method, path) {
        case ("GET", ["v2", "queue"]): return HTTPResponse(json: .text(["queue": .array(state.queue)]))
        case ("GET", ["v2", "events"]):
            guard request.headers["Accept"] == "text/event-stream" else { return HTTPResponse(405) }
            return changes.response(type: "text/event-stream", first: Array("event: event_stream_attached\ndata: {}\n\n".utf8))
        case (_, ["v2", "apps", "shop", "orders"]) where state.isThere:
            return request.method == "GET" ? app(state, request) : write(request)
        default: return refusal(404, "App '/\(path.dropFirst(2).joined(separator: "/"))' does not exist")
        }
    }

    private func login(_ request: HTTPRequest) -> HTTPResponse {
        state.withLock { state in
            state.logins += 1
            guard let account = state.account, let body = try? JSONReader.read(request.body), body["uid"]?.string == account.uid,
                body["password"]?.string == account.password
            else {
                return HTTPResponse(401, json: .text(["title": .string("Bad Request"), "description": .string("Invalid credentials.")]))
            }
            return HTTPResponse(json: .text(["token": .string("login-\(state.logins)")]))
        }
    }

    private func app(_ state: State, _ request: HTTPRequest) -> HTTPResponse {
        guard request.parameters.map(\.value) == ["app.counts", "app.deployments"] else { return refusal(400, "embed") }
        return HTTPResponse(
            json: .text([
                "app": .text([
                    "id": .string("/shop/orders"), "instances": .integer(state.desired), "tasksStaged": .integer(0),
                    "tasksRunning": .integer(state.running), "tasksHealthy": .integer(state.healthy ?? 0), "tasksUnhealthy": .integer(0),
                    "healthChecks": .array(state.healthy == nil ? [] : [.text(["protocol": .string("MESOS_HTTP")])]),
                    "version": .string("2021-07-01T10:00:\(state.version).000Z"),
                    "deployments": .array(state.deployments.map { .text(["id": .string($0)]) }),
                ])
            ]))
    }

    private func write(_ request: HTTPRequest) -> HTTPResponse {
        guard request.method == "PATCH", let count = (try? JSONReader.read(request.body))?["instances"]?.integer else {
            return refusal(422, "Object is not valid")
        }
        let refused = state.withLock { state -> HTTPResponse? in
            if state.isFull { return refusal(403, "Max number (100) of running deployments is achieved. Wait for existing deployments") }
            guard state.deployments.isEmpty else {
                return HTTPResponse(
                    409,
                    json: .text([
                        "message": .string(
                            "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."
                        ), "deployments": .array(state.deployments.map { .text(["id": .string($0)]) }),
                    ]))
            }
            state.written.append(Int(count))
            return nil
        }
        if let refused { return refused }
        change { state in
            state.desired = Int(count)
            state.running = min(state.running, Int(count))
        }
        return HTTPResponse(json: .text(["version": .string("2021"), "deploymentId": .string("5ed4c0c5")]))
    }
}
