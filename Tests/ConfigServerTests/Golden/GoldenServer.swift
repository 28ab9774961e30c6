import ConfigModel
import ConfigRepositories
import ConfigServer
import Foundation
import HTTP
import PropertyFormats
import Roles
import SpringSettings
import Telemetry

/// Our router over the repositories that a case's settings describe.
struct GoldenServer {
    struct LeftForLater: Error { let reason: String }

    let root: URL
    let isNative: Bool
    let router: Router
    private let changing: [any ChangingRepository]
    private let daemon: GitDaemon?

    /// What the recorded server was given beside a case's own settings.
    private static let common = [
        "spring.application.name": "config-server", "spring.cloud.bus.enabled": "false", "management.health.rabbit.enabled": "false",
        "management.health.db.enabled": "false", "management.health.diskspace.enabled": "false", "spring.main.banner-mode": "off",
        "spring.datasource.url": "jdbc:postgresql://127.0.0.1:5432/golden", "spring.datasource.username": "postgres",
        "logging.level.root": "warn",
        "server.port": "8888",
    ]

    init(_ golden: GoldenCase, root: URL, data: URL) throws {
        self.root = root
        isNative = golden.isNative
        if golden.needsSQL { throw LeftForLater(reason: "it needs a database") }
        if golden.needsBus { throw LeftForLater(reason: "it needs a broker") }
        if let key = golden.settings.keys.sorted().first(where: { $0.hasPrefix("encrypt.") }) {
            throw LeftForLater(reason: "it needs encryption (\(key))")
        }
        daemon = golden.needsDaemon ? try GitDaemon(serving: root) : nil
        let places = [("{{ROOT}}", root.path), ("{{CASE}}", golden.folder.path), ("{{GIT}}", daemon?.address ?? "")]
        let settings = golden.settings.mapValues { text in places.reduce(text) { $0.replacing($1.0, with: $1.1) } }
        // As the file that `replay` hands to a server.
        let properties = Self.common.merging(settings) { $1 }.sorted { $0.key < $1.key }.map { Property(key: $0, value: .string($1)) }
        let spring = try SpringSettings(documents: [PropertyDocument(properties: properties)], file: "application.properties")
        let setup = try RepositorySetup(spring, data: data.path, log: .silent)
        changing = setup.changing
        var router = Router()
        ConfigRoutes(
            setup.repository, settings: ConfigRoutes.Settings(prefix: spring.prefix, acceptsEmpty: spring.acceptsEmpty), changing: changing
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
