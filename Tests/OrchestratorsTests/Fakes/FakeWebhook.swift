import Crypto
import HTTP
import JSON
import Locking

/// A user's server that scales something of its own, and looks at signatures and fences.
final class FakeWebhook: FakeOrchestrator {
    private struct State {
        var version = 1
        var isThere = true
        var desired = 3
        var ready = 3
        var isLocked = false
        var written: [Int] = []
    }
    private let state = Locked(State())

    var desired: Int { state.withLock { $0.desired } }
    var written: [Int] { state.withLock { $0.written } }
    var streams: Int { 0 }
    func waits(_ request: HTTPRequest) -> Bool { false }
    func knows(_ request: HTTPRequest, token: String) -> Bool {
        guard let given = request.headers[BodySignature.field], given.hasPrefix("t="),
            let time = Int64(given.dropFirst(2).prefix { $0 != "," })
        else { return false }
        return given == BodySignature.make(of: request.body, secret: Array(token.utf8), now: time)
    }
    var stranger: HTTPResponse { refusal(401, "the signature is wrong") }
    func refusal(_ status: Int, _ message: String) -> HTTPResponse { HTTPResponse(status, json: .text(["message": .string(message)])) }

    func set(_ count: Int) {
        state.withLock { state in
            state.desired = count
            state.version += 1
        }
    }
    func place(_ ready: Int) { state.withLock { $0.ready = ready } }
    func lock(_ isLocked: Bool) { state.withLock { $0.isLocked = isLocked } }
    func remove() { state.withLock { $0.isThere = false } }
    func dropStreams() {}

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        state.withLock { state in
            guard state.isThere else { return refusal(404, "nothing to scale here") }
            if request.method == "GET" {
                return HTTPResponse(
                    json: .text([
                        "desired": .integer(state.desired), "ready": .integer(state.ready), "fence": .integer(state.version),
                        "locked": state.isLocked ? .string("a deployment runs") : .null,
                    ]))
            }
            guard let order = try? JSONReader.read(request.body), let count = order["count"]?.integer else {
                return refusal(400, "no count")
            }
            if state.isLocked { return refusal(423, "a deployment runs") }
            if let fence = order["fence"]?.string, fence != "\(state.version)" { return refusal(409, "it was changed meanwhile") }
            state.written.append(Int(count))
            state.desired = Int(count)
            state.ready = min(state.ready, Int(count))
            state.version += 1
            return HTTPResponse(json: .text(["reference": .integer(state.version)]))
        }
    }
}
