import BacklogSources
import Autoscaler
import HTTP
import HTTPServer
import Locking
import Streams
import TestSupport

/// A server that answers with what a test puts there, and counts what it is asked.
final class FakePages: HTTPHandler {
    struct Page: Sendable {
        var status = 200
        var body: String
        /// Never answers before the client has gone.
        var isSilent = false
    }
    private let pages = Locked<[String: Page]>([:])
    private let asked = Locked<[String]>([])

    /// What was asked for, each with its query.
    var requests: [String] { asked.withLock { $0 } }

    func put(_ target: String, _ body: String, status: Int = 200, isSilent: Bool = false) {
        pages.withLock { $0[target] = Page(status: status, body: body, isSilent: isSilent) }
    }

    func endsWithClient(_ request: HTTPRequest) -> Bool { true }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        let target = request.pathText + (request.query.isEmpty ? "" : "?" + request.query)
        asked.withLock { $0.append(target) }
        let page = pages.withLock { $0[target] ?? $0[request.pathText] }
        guard let page else { return HTTPResponse(404, text: "no such page") }
        if page.isSilent { try? await Task.sleep(for: .seconds(600)) }
        return HTTPResponse(page.status, text: page.body, type: "application/json")
    }
}
