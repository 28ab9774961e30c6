import HTTP
import JSON
import Locking

/// The part of a cluster's API that scaling needs: a Deployment, a StatefulSet and a resource of a definition of its own, all named `orders` in the
/// namespace `shop`, with pods, HPAs and KEDA's ScaledObjects beside them.
final class FakeKubernetes: FakeOrchestrator {
    /// What was asked for, as a role names it.
    struct Right: Hashable, Sendable, CustomStringConvertible {
        var group: String
        var resource: String
        var verb: String
        var description: String { "\(verb) \(resource) in `\(group)`" }
    }
    struct State {
        var version = 100
        /// Changes before this one are forgotten: a watch from there is answered 410.
        var oldest = 0
        var isThere = true
        var desired = 3
        var ready = 3
        var written: [Int] = []
        var autoscalers: [JSONValue] = []
        /// Nil: the definition of ScaledObjects is not installed.
        var scaledObjects: [JSONValue]?
        var rights: Set<Right> = []
        /// What may be asked for; nil: all.
        var role: Set<Right>?
        var lists = 0
        /// Why the pods that are not ready do not start.
        var unschedulable: String?
    }
    let state = Locked(State())
    private let changes = FakeStreams()

    var desired: Int { state.withLock { $0.desired } }
    var written: [Int] { state.withLock { $0.written } }
    var streams: Int { changes.count }
    func waits(_ request: HTTPRequest) -> Bool { request.parameter("watch") == "true" }
    func knows(_ request: HTTPRequest, token: String) -> Bool { request.headers["Authorization"] == "Bearer \(token)" }
    var stranger: HTTPResponse { refusal(401, "Unauthorized") }

    func refusal(_ status: Int, _ message: String) -> HTTPResponse {
        let reasons = [
            401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid", 429: "TooManyRequests",
            500: "InternalError",
        ]
        return HTTPResponse(
            status,
            json: .text([
                "kind": .string("Status"), "apiVersion": .string("v1"), "metadata": .object([]), "status": .string("Failure"),
                "message": .string(message), "reason": .string(reasons[status] ?? ""), "code": .integer(status),
            ]))
    }

    private func change(_ body: (inout State) -> Void) {
        let version = state.withLock { state in
            body(&state)
            state.version += 1
            return state.version
        }
        let object = JSONValue.text(["metadata": .text(["name": .string("orders"), "resourceVersion": .string("\(version)")])])
        changes.send(JSONValue.text(["type": .string("MODIFIED"), "object": object]).written + "\n")
    }

    func set(_ count: Int) { change { $0.desired = count } }
    func place(_ ready: Int) { change { $0.ready = ready } }
    func lock(_ isLocked: Bool) {}
    func remove() { change { $0.isThere = false } }
    func dropStreams() { changes.drop() }

    /// The history up to now is gone, and those who watch are told so.
    func compact() {
        state.withLock { state in
            state.version += 10
            state.oldest = state.version
        }
        changes.drop()
    }

    /// An error within a watch, as etcd's compaction makes it.
    func expire() {
        state.withLock {
            $0.oldest = $0.version + 1; $0.version += 2
        }
        let status = refusal(410, "The resourceVersion for the provided watch is too old.")
        changes.send("{\"type\":\"ERROR\",\"object\":\(status.text ?? "")}\n")
        changes.drop()
    }

    static func owner(_ name: String, _ reference: JSONValue) -> JSONValue {
        .text(["metadata": .text(["name": .string(name)]), "spec": .text(["scaleTargetRef": reference])])
    }

    // MARK: - Answers

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        var path = request.path[...]
        guard let root = path.popFirst(), root == "apis" || root == "api" else {
            return refusal(404, "the server could not find the requested resource")
        }
        let group = root == "api" ? "" : path.popFirst() ?? ""
        let version = path.popFirst() ?? ""
        if path.isEmpty { return discovery(group, version) }
        guard path.count >= 3, path.popFirst() == "namespaces", let namespace = path.popFirst(), let plural = path.popFirst() else {
            return refusal(404, "the server could not find the requested resource")
        }
        let name = path.popFirst()
        let sub = path.popFirst()
        let verb =
            switch request.method {
            case "GET": name != nil ? "get" : request.parameter("watch") == "true" ? "watch" : "list"
            case "PUT": "update"
            case "PATCH": "patch"
            default: request.method.lowercased()
            }
        let right = Right(group: group, resource: plural + (sub.map { "/\($0)" } ?? ""), verb: verb)
        let isAllowed = state.withLock { state in
            state.rights.insert(right)
            return state.role?.contains(right) ?? true
        }
        // As the real one, before it looks whether there is such a thing.
        guard isAllowed else {
            return refusal(
                403,
                "\(right.resource).\(group) is forbidden: User \"system:serviceaccount:shop:carillon\" cannot \(verb) resource \"\(right.resource)\" in API group \"\(group)\" in the namespace \"\(namespace)\""
            )
        }
        return resource("\(group)/\(version)/\(plural)", namespace, name, sub, request)
    }

    private func discovery(_ group: String, _ version: String) -> HTTPResponse {
        guard group == "example.com", version == "v1" else { return refusal(404, "the server could not find the requested resource") }
        let workers = JSONValue.text(["name": .string("workers"), "kind": .string("Worker"), "namespaced": .boolean(true)])
        return HTTPResponse(json: .text(["kind": .string("APIResourceList"), "resources": .array([workers])]))
    }

    private static let kinds = [
        "apps/v1/deployments": "Deployment", "apps/v1/statefulsets": "StatefulSet", "example.com/v1/workers": "Worker",
    ]

    private func resource(_ type: String, _ namespace: String, _ name: String?, _ sub: String?, _ request: HTTPRequest) -> HTTPResponse {
        let state = state.withLock { $0 }
        func list(_ items: [JSONValue]) -> HTTPResponse {
            self.state.withLock { $0.lists += 1 }
            return HTTPResponse(
                json: .text([
                    "kind": .string("List"), "metadata": .text(["resourceVersion": .string("\(state.version)")]), "items": .array(items),
                ]))
        }
        switch type {
        case "/v1/pods": return list(pods(state))
        case "autoscaling/v2/horizontalpodautoscalers": return list(state.autoscalers)
        case "keda.sh/v1alpha1/scaledobjects":
            guard let items = state.scaledObjects else { return HTTPResponse(404, text: "404 page not found\n") }
            return list(items)
        default: break
        }
        guard let kind = Self.kinds[type] else { return refusal(404, "the server could not find the requested resource") }
        if name == nil, request.parameter("watch") == "true" { return watch(request, state) }
        guard let name else { return list(state.isThere ? [object(kind, state)] : []) }
        guard namespace == "shop", name == "orders", state.isThere else {
            return refusal(404, "\(type.split(separator: "/").last ?? "").apps \"\(name)\" not found")
        }
        if sub == nil { return HTTPResponse(json: object(kind, state)) }
        guard request.method == "PUT" else { return HTTPResponse(json: scale(state)) }
        guard let body = try? JSONReader.read(request.body), body["kind"]?.string == "Scale",
            let replicas = body["spec"]?["replicas"]?.integer, replicas >= 0, body["metadata"]?["name"]?.string == name
        else { return refusal(422, "Scale.autoscaling \"\(name)\" is invalid: spec.replicas: Invalid value") }
        return write(Int(replicas), body["metadata"]?["resourceVersion"]?.string)
    }

    private func write(_ count: Int, _ version: String?) -> HTTPResponse {
        let result = state.withLock { state -> HTTPResponse? in
            // Without a version the last one wins.
            guard version == nil || version == "\(state.version)" else {
                return refusal(
                    409,
                    "Operation cannot be fulfilled on deployments.apps \"orders\": the object has been modified; please apply your changes to the latest version and try again"
                )
            }
            guard count != state.desired else { return HTTPResponse(json: scale(state)) }
            state.written.append(count)
            return nil
        }
        if let result { return result }
        change { state in
            state.desired = count
            state.ready = min(state.ready, count)
        }
        return HTTPResponse(json: state.withLock { scale($0) })
    }

    private func watch(_ request: HTTPRequest, _ state: State) -> HTTPResponse {
        guard let version = request.parameter("resourceVersion").flatMap({ Int($0) }), version >= state.oldest else {
            return refusal(410, "too old resource version: \(request.parameter("resourceVersion") ?? "") (\(state.oldest))")
        }
        let bookmark = JSONValue.text([
            "type": .string("BOOKMARK"),
            "object": .text(["metadata": .text(["resourceVersion": .string("\(state.version)")])]),
        ])
        return changes.response(type: "application/json", first: Array((bookmark.written + "\n").utf8))
    }

    // Numbers that are zero are left out, as Go's `omitempty` does.
    private func count(_ name: String, _ number: Int) -> [JSONMember] { number == 0 ? [] : [JSONMember(name, .integer(number))] }

    private func scale(_ state: State) -> JSONValue {
        .text([
            "kind": .string("Scale"), "apiVersion": .string("autoscaling/v1"),
            "metadata": .text(["name": .string("orders"), "namespace": .string("shop"), "resourceVersion": .string("\(state.version)")]),
            "spec": .object(count("replicas", state.desired)),
            "status": .object([JSONMember("replicas", .integer(state.desired)), JSONMember("selector", .string("app=orders,tier in (a)"))]),
        ])
    }

    private func object(_ kind: String, _ state: State) -> JSONValue {
        .text([
            "kind": .string(kind), "metadata": .text(["name": .string("orders"), "resourceVersion": .string("\(state.version)")]),
            "spec": .text(["replicas": .integer(state.desired)]),
            "status": .object(count("replicas", state.desired) + (kind == "Worker" ? [] : count("readyReplicas", state.ready))),
        ])
    }

    private func pods(_ state: State) -> [JSONValue] {
        func condition(_ type: String, _ isTrue: Bool, _ message: String = "") -> JSONValue {
            .text(["type": .string(type), "status": .string(isTrue ? "True" : "False"), "message": .string(message)])
        }
        return (0..<state.desired).map { number in
            let isReady = number < state.ready
            let scheduled = condition("PodScheduled", isReady || state.unschedulable == nil, isReady ? "" : state.unschedulable ?? "")
            return .text([
                "metadata": .text(["name": .string("orders-\(number)")]),
                "status": .text(["conditions": .array([scheduled, condition("Ready", isReady)])]),
            ])
        }
    }
}
