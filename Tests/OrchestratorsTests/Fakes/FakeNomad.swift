import HTTP
import JSON
import Locking

/// A Nomad server with the job `shop/orders` of two groups, `workers` and `web`.
final class FakeNomad: FakeOrchestrator {
    struct State {
        var index = 50
        var modifyIndex = 40
        var isThere = true
        var isStopped = false
        var desired = 3
        var running = 3
        var unhealthy = 0
        /// Nil: the job never had one.
        var deployment: String?
        var written: [Int] = []
        var bodies: [JSONValue] = []
        /// Whether `JobModifyIndex` is enforced, as newer servers do.
        var isNew = true
        /// Counts that were refused while a deployment ran, and are kept as wanted all the same, as before 1.4.
        var keepsRefused = false
        var isCut = 0
        var waiting = 0
    }
    let state = Locked(State())

    var desired: Int { state.withLock { $0.desired } }
    var written: [Int] { state.withLock { $0.written } }
    var streams: Int { state.withLock { $0.waiting } }
    func waits(_ request: HTTPRequest) -> Bool { request.parameter("index") != nil }
    func knows(_ request: HTTPRequest, token: String) -> Bool { request.headers["X-Nomad-Token"] == token }
    /// A token that is gone is no 401.
    var stranger: HTTPResponse { HTTPResponse(403, text: "ACL token not found") }
    func refusal(_ status: Int, _ message: String) -> HTTPResponse { HTTPResponse(status, text: message) }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            state.index += 1
        }
    }
    func set(_ count: Int) {
        change { state in
            state.desired = count
            state.modifyIndex = state.index + 1
        }
    }
    func place(_ ready: Int) { change { $0.running = ready } }
    func lock(_ isLocked: Bool) { change { $0.deployment = isLocked ? "running" : "successful" } }
    func remove() { change { $0.isThere = false } }
    func dropStreams() { state.withLock { $0.isCut += 1 } }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard request.path.starts(with: ["v1", "job"]), request.path.count > 3 else { return HTTPResponse(404, text: "Invalid URL Path") }
        guard request.parameter("namespace") == "sales", request.parameter("region") == "north" else {
            return HTTPResponse(500, text: "No path to region")
        }
        if let index = request.parameter("index").flatMap({ Int($0) }) {
            if let cut = await wait(index, request.parameter("wait")) { return cut }
        }
        let state = state.withLock { $0 }
        guard request.path.dropFirst(2).dropLast() == ["shop", "orders"], state.isThere else {
            return HTTPResponse(404, text: "job not found")
        }
        switch (request.method, request.path.last) {
        case ("GET", "deployment"): return deployment(state)
        case ("GET", "scale"): return scale(state)
        case ("POST", "scale"), ("PUT", "scale"): return write(request)
        default: return HTTPResponse(405, text: "Invalid method")
        }
    }

    /// Until the index is another one; what a proxy answers where it was cut.
    private func wait(_ index: Int, _ wait: String?) async -> HTTPResponse? {
        let cut = state.withLock { state in
            state.waiting += 1
            return state.isCut
        }
        defer { state.withLock { $0.waiting -= 1 } }
        let end = ContinuousClock.now + .seconds(wait.flatMap { Int($0.dropLast()) } ?? 300)
        while ContinuousClock.now < end, !Task.isCancelled {
            let state = state.withLock { $0 }
            if state.isCut != cut { return HTTPResponse(502, text: "bad gateway") }
            if state.index > index { return nil }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return nil
    }

    private func deployment(_ state: State) -> HTTPResponse {
        guard let status = state.deployment else { return HTTPResponse(json: .null) }
        return HTTPResponse(
            json: .text([
                "ID": .string("8e1c2f04-1c7a-0000-0000-000000000000"), "JobID": .string("shop/orders"), "Status": .string(status),
                "StatusDescription": .string("Deployment is \(status)"),
            ]))
    }

    private func scale(_ state: State) -> HTTPResponse {
        func group(_ desired: Int, _ running: Int, _ unhealthy: Int) -> JSONValue {
            .text([
                "Desired": .integer(desired), "Placed": .integer(running), "Running": .integer(running), "Healthy": .integer(0),
                "Unhealthy": .integer(unhealthy), "Events": .null,
            ])
        }
        var response = HTTPResponse(
            json: .text([
                "JobID": .string("shop/orders"), "JobModifyIndex": .integer(state.modifyIndex), "JobStopped": .boolean(state.isStopped),
                "TaskGroups": .text(["web": group(1, 1, 0), "workers": group(state.desired, state.running, state.unhealthy)]),
            ]))
        response.headers["X-Nomad-Index"] = "\(state.index)"
        return response
    }

    private func write(_ request: HTTPRequest) -> HTTPResponse {
        guard let body = try? JSONReader.read(request.body), let count = body["Count"]?.integer,
            let group = body["Target"]?["Group"]?.string
        else { return HTTPResponse(400, text: "missing task group name for scaling action") }
        guard group == "workers" else {
            return HTTPResponse(400, text: "task group \"\(group)\" specified for scaling does not exist in job")
        }
        let refused = state.withLock { state -> HTTPResponse? in
            state.bodies.append(body)
            if let status = state.deployment, status != "successful" {
                if state.keepsRefused { state.desired = Int(count) }
                return HTTPResponse(400, text: "job scaling blocked due to active deployment")
            }
            if state.isNew, let index = body["JobModifyIndex"]?.integer, index != 0, index != state.modifyIndex {
                return HTTPResponse(
                    500, text: "Enforcing job modify index \(index): job exists with conflicting job modify index: \(state.modifyIndex)")
            }
            state.written.append(Int(count))
            return nil
        }
        if let refused { return refused }
        change { state in
            state.desired = Int(count)
            state.running = min(state.running, Int(count))
            state.modifyIndex = state.index + 1
        }
        return HTTPResponse(json: .text(["EvalID": .string("5a1b"), "JobModifyIndex": .integer(state.withLock { $0.modifyIndex })]))
    }
}
