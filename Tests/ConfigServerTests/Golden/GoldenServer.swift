import ConfigModel
import ConfigRepositories
import ConfigServer
import Foundation
import HTTP

/// Our router over the repositories that a case's settings describe.
struct GoldenServer {
    struct LeftForLater: Error { let reason: String }

    let root: URL
    let isNative: Bool
    let router: Router
    private let changing: [any ChangingRepository]
    private let daemon: GitDaemon?

    init(_ golden: GoldenCase, root: URL, data: URL) throws {
        self.root = root
        isNative = golden.isNative
        if golden.needsSQL { throw LeftForLater(reason: "it needs a database") }
        if golden.needsBus { throw LeftForLater(reason: "it needs a broker") }
        if let key = golden.settings.keys.first(where: { $0.hasPrefix("encrypt.") }) {
            throw LeftForLater(reason: "it needs encryption (\(key))")
        }
        daemon = golden.needsDaemon ? try GitDaemon(serving: root) : nil
        let places = [("{{ROOT}}", root.path), ("{{CASE}}", golden.folder.path), ("{{GIT}}", daemon?.address ?? "")]
        let settings = golden.settings.mapValues { text in places.reduce(text) { $0.replacing($1.0, with: $1.1) } }
        let composition = try GoldenComposition(settings, data: data.path)
        changing = composition.changing
        var router = Router()
        ConfigRoutes(
            composition.repository,
            settings: ConfigRoutes.Settings(
                prefix: composition.server["prefix"] ?? "", acceptsEmpty: composition.server["accept-empty"] != "false"),
            changing: changing
        ).install(in: &router)
        self.router = router
    }

    func end() { daemon?.end() }

    func refresh() async throws { for one in changing { try await one.refresh() } }

    func answer(_ request: GoldenCase.Request) async -> GoldenCase.Answer {
        guard
            let value = HTTPRequest(
                request.method, request.path, headers: HTTPHeaders(request.headers.map { (name: $0.name, value: $0.value) }),
                body: Array((request.body ?? "").utf8))
        else { return GoldenCase.Answer(status: 400, headers: [:], body: [], isBinary: false) }
        return normal(await router.respond(to: value))
    }

    /// The recorded form of an answer: what depends on the machine is replaced.
    private func normal(_ response: HTTPResponse) -> GoldenCase.Answer {
        var headers: [String: String] = [:]
        for field in response.headers.fields { headers[field.name.lowercased()] = field.value }
        if headers["last-modified"] != nil, !isNative { headers["last-modified"] = "{{DATE}}" }
        let bytes = response.bytes ?? []
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            return GoldenCase.Answer(status: response.status, headers: headers, body: bytes, isBinary: true)
        }
        let plain = text.replacing(daemon?.address ?? "\0", with: "{{GIT}}").replacing(root.path, with: "{{ROOT}}")
            .replacing(#/"timestamp":"[^"]*"/#, with: "\"timestamp\":\"{{TIMESTAMP}}\"")
        return GoldenCase.Answer(status: response.status, headers: headers, body: Array(plain.utf8), isBinary: false)
    }
}
