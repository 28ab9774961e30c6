internal import Autoscaler
internal import ConfigModel
internal import Foundation
package import HTTP
internal import JSON
internal import Options
internal import ScalingFormats

/// `/scaling`: what policies do, why, and what operators want of them.
package struct ScalingRoutes: Sendable {
    private let engine: ScalingEngine

    package init(_ engine: ScalingEngine) { self.engine = engine }

    package var router: Router {
        var router = Router()
        router.add("GET", "/scaling") { _, _ in list() }
        router.add("GET", "/scaling/{policy}") { request, values in try await show(values["policy"] ?? "", request) }
        router.add("GET", "/scaling/{policy}/decisions") { request, values in try await decisions(values["policy"] ?? "", request) }
        router.add("POST", "/scaling/{policy}/hold") { request, values in try await hold(values["policy"] ?? "", request) }
        router.add("POST", "/scaling/{policy}/set") { request, values in try await set(values["policy"] ?? "", request) }
        router.add("POST", "/scaling/{policy}/resume") { _, values in try await resume(values["policy"] ?? "") }
        return router
    }

    /// What is wrong with a request, for people.
    private struct Refusal: HTTPError {
        let status: Int
        let message: String
        init(_ status: Int, _ message: String) {
            self.status = status
            self.message = message
        }
        var response: HTTPResponse {
            HTTPResponse(
                status, text: JSONValue.object([JSONMember("message", .string(message))]).written, type: "application/json",
                headers: status == 503 ? ["Retry-After": "2"] : [:])
        }
    }

    private func explained<R: Sendable>(_ body: () async throws(OperatingError) -> R) async throws(Refusal) -> R {
        do throws(OperatingError) { return try await body() } catch {
            switch error {
            case .noPolicy(let name):
                let near = Spelling.nearest(to: name, in: engine.policyNames).map { "did you mean `\($0)`?" }
                let all = engine.policyNames.sorted()
                let known =
                    all.isEmpty ? "there is none" : "there are \(all.prefix(20).joined(separator: ", "))\(all.count > 20 ? ", …" : "")"
                throw Refusal(404, "there is no policy `\(name)`; \(near ?? known)")
            case .notLeading(let leader):
                throw Refusal(
                    503, leader.map { "server \($0) decides now; ask that one" } ?? "no server decides yet; try again in a few seconds")
            case .ledger(let reason): throw Refusal(503, reason)
            }
        }
    }

    // MARK: Reading

    private func list() -> HTTPResponse {
        let views = engine.views
        var writer = JSONWriter(capacity: views.count * 250)
        writer.raw("[")
        for (index, view) in views.enumerated() {
            if index > 0 { writer.raw(",\n") }
            PolicyJSON.summary(view, to: &writer)
        }
        writer.raw("]")
        return HTTPResponse(bytes: writer.bytes, type: "application/json")
    }

    private func show(_ name: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let view = try await explained { () throws(OperatingError) in try engine.view(of: name) }
        guard let text = request.parameter("at") else {
            return HTTPResponse(
                bytes: PolicyJSON.whole(
                    view, decision: view.last, result: view.result, leader: engine.leader, isLeading: engine.term != nil, isPast: false),
                type: "application/json")
        }
        let time = try moment(text, "at", .past)
        guard let found = try await explained({ () throws(OperatingError) in try await engine.decision(of: name, at: time) }) else {
            throw Refusal(404, "nothing was decided for `\(name)` at \(TimeText.render(time)), or it is no longer kept")
        }
        return HTTPResponse(
            bytes: PolicyJSON.whole(view, decision: found.decision, result: found.result, leader: nil, isLeading: false, isPast: true),
            type: "application/json")
    }

    private func decisions(_ name: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let from = try request.parameter("from").map { try moment($0, "from", .past) } ?? engine.now().wall - 3600
        let to = try request.parameter("to").map { try moment($0, "to", .past) } ?? engine.now().wall
        let limit = request.parameter("limit").flatMap(Int.init) ?? 1000
        guard (1...10_000).contains(limit) else { throw Refusal(400, "`limit` needs a number from 1 to 10000") }
        let list = try await explained { () throws(OperatingError) in
            try await engine.decisions(of: name, from: from, to: to, limit: limit)
        }
        var writer = JSONWriter(capacity: list.count * 1000)
        writer.raw("[")
        for (index, decision) in list.enumerated() {
            if index > 0 { writer.raw(",\n") }
            DecisionJSON.write(decision, to: &writer)
        }
        writer.raw("]")
        return HTTPResponse(bytes: writer.bytes, type: "application/json")
    }

    private func moment(_ text: String, _ name: String, _ direction: MomentText.Direction) throws(Refusal) -> Seconds {
        guard let time = MomentText.parse(text, now: engine.now().wall, direction) else {
            throw Refusal(
                400, "`\(name)` needs \(MomentText.forms)\(direction == .future ? ", that is to come" : ""), not `\(text.prefix(80))`")
        }
        return time
    }

    // MARK: Changing

    /// A value of the body, which is a JSON object, or of the query.
    private func given(_ request: HTTPRequest, _ name: String) throws(Refusal) -> String? {
        if !request.body.isEmpty {
            guard let body = try? JSONReader.read(request.body), case .object = body else {
                throw Refusal(400, "the body is no JSON object such as {\"until\": \"2h\"}")
            }
            if let text = body[name]?.scalarText { return text }
        }
        return request.parameter(name)
    }

    private func until(_ request: HTTPRequest) throws(Refusal) -> Seconds {
        guard let text = try given(request, "until") else {
            throw Refusal(400, "say until when: `until` needs \(MomentText.forms)")
        }
        return try moment(text, "until", .future)
    }

    private func hold(_ name: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let until = try until(request)
        try await explained { () throws(OperatingError) in _ = try await engine.override(name, Override(.hold, until: until)) }
        return try await answer(name, asked: nil)
    }

    private func set(_ name: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        guard let text = try given(request, "count"), let count = Int(text), count >= 0 else {
            throw Refusal(400, "`count` needs a whole number from 0 on")
        }
        let until = try until(request)
        try await explained { () throws(OperatingError) in _ = try await engine.override(name, Override(.set(count), until: until)) }
        return try await answer(name, asked: count)
    }

    private func resume(_ name: String) async throws -> HTTPResponse {
        try await explained { () throws(OperatingError) in _ = try await engine.override(name, nil) }
        return try await answer(name, asked: nil)
    }

    /// The policy as it is now; `asked` beside it where a count was asked for, and `message` where it was changed.
    private func answer(_ name: String, asked: Int?) async throws -> HTTPResponse {
        let view = try await explained { () throws(OperatingError) in try engine.view(of: name) }
        var writer = JSONWriter(capacity: 400)
        writer.raw("{\"policy\":")
        writer.string(name)
        writer.raw(",\"held\":")
        if let override = view.override {
            writer.raw("{\"kind\":")
            writer.string(override.name)
            writer.raw(",\"count\":")
            DecisionJSON.number(override.count.map(Double.init), &writer)
            writer.raw(",\"until\":")
            writer.string(TimeText.render(override.until))
            writer.raw("}")
        } else {
            writer.raw("null")
        }
        if let asked {
            writer.raw(text: ",\"asked\":\(asked),\"message\":")
            let count = view.override?.count ?? asked
            writer.string(
                count == asked
                    ? nil : "\(asked) is outside what the policy allows, \(view.policy.minimum) to \(view.policy.maximum): set to \(count)")
        }
        writer.raw("}")
        return HTTPResponse(bytes: writer.bytes, type: "application/json")
    }
}
