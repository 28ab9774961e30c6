import ConfigModel
import ConfigRepositories
package import HTTP
import JSON
package import Telemetry

/// `POST /monitor`: a web hook says that somebody pushed. The repositories are looked at first; who is told comes after, so that nobody fetches what
/// was there before.
package struct MonitorRoutes: Sendable {
    /// Who is told of a push.
    package enum Mode: Sendable, Hashable {
        /// Whom the names of the files point to, as the original does: `publish` gets them.
        case guessing
        /// Whoever the change really affects: what the repositories' own `onChange` finds out and publishes. The guess is only answered.
        case effective
    }

    package struct Settings: Sendable {
        package var mode: Mode
        /// What hooks are signed with. Nil: they need no signature; the server's own rules about who may change something hold.
        package var secret: String?
        /// Branches (patterns with `*`) whose pushes count; nil: all. Pushes that name no branch always count.
        package var branches: [String]?
        package var disabled: Set<Webhook.Provider>
        /// Segments in front of `/monitor`.
        package var prefix: String
        package init(
            mode: Mode = .effective, secret: String? = nil, branches: [String]? = nil, disabled: Set<Webhook.Provider> = [],
            prefix: String = ""
        ) {
            self.mode = mode
            self.secret = secret
            self.branches = branches
            self.disabled = disabled
            self.prefix = prefix
        }
    }

    private let settings: Settings
    private let isTrusted: @Sendable (HTTPRequest) -> Bool
    private let refresh: @Sendable () async throws -> Void
    private let publish: @Sendable ([String]) async throws -> Void
    private let log: Log

    /// `isTrusted` says whether a request without a signature may pass although there is a secret (a token of the server's own, say). `refresh`
    /// returns when what the repositories have is served. `publish` is given applications (`foo`, `*`), never empty, and returns when the
    /// broker has confirmed.
    package init(
        _ settings: Settings = Settings(), isTrusted: @escaping @Sendable (HTTPRequest) -> Bool = { _ in false },
        refresh: @escaping @Sendable () async throws -> Void, publish: @escaping @Sendable ([String]) async throws -> Void,
        log: Log = .silent
    ) {
        self.settings = settings
        self.isTrusted = isTrusted
        self.refresh = refresh
        self.publish = publish
        self.log = log
    }

    package func install(in router: inout Router) {
        let path = settings.prefix.split(separator: "/").map { "/" + $0 }.joined() + "/monitor"
        router.add("POST", path) { request, _ in await respond(to: request) }
        router.add("OPTIONS", path) { _, _ in HTTPResponse(200, headers: ["Allow": "POST,OPTIONS"]) }
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            router.add(method, path) { request, _ in
                .error(405, "Method '\(request.method)' is not supported.", request, headers: ["Allow": "POST"])
            }
            router.add(method, path + "/") { request, _ in
                .error(404, "There is nothing at \(request.pathText); the hook is \(path)", request)
            }
        }
        router.add("POST", path + "/") { request, _ in
            .error(404, "There is nothing at \(request.pathText); the hook is \(path)", request)
        }
    }

    /// 200 with the applications that the hook's files point to, as JSON. 400 or 415 for what is no hook, 401 without the signature, 503 when the
    /// repository or the broker cannot be reached: the sender then tries again, or shows the failure.
    private func respond(to request: HTTPRequest) async -> HTTPResponse {
        if let secret = settings.secret, !WebhookSignature.isValid(request, secret: secret), !isTrusted(request) {
            return .error(
                401,
                "The hook is not signed with the secret of this server: set the same secret in the hook's settings and here (monitor.secret-file)",
                request, headers: ["WWW-Authenticate": "Signature realm=\"monitor\""])
        }
        let hook: Webhook?
        switch Self.kind(of: request) {
        case .form:
            guard let form = form(request) else { return .error(400, "Required parameter 'path' is not present.", request) }
            hook = form
        case .json:
            let body: JSONValue
            do throws(JSONError) { body = try JSONReader.read(request.body) } catch {
                return .error(400, "JSON parse error: \(error)", request)
            }
            guard case .object = body else { return .error(400, "JSON parse error: an object is expected", request) }
            hook = Webhook(request.headers, body, disabled: settings.disabled)
        case .nothing: return .error(400, "Required request body is missing", request)
        case .other(let type):
            return .error(
                415, "Content-Type '\(type)' is not supported.", request,
                headers: ["Accept": "application/json, application/x-www-form-urlencoded"])
        }
        guard let hook, counts(hook) else { return Self.answer([]) }
        let services = hook.guessedServices
        do {
            try await refresh()
            if settings.mode == .guessing, !services.isEmpty { try await publish(services) }
        } catch {
            log.warning("a web hook could not be followed", ["provider": hook.provider.rawValue, "reason": "\(error)"])
            return .error(503, "\(error)", request, headers: ["Retry-After": "5"])
        }
        return Self.answer(services)
    }

    /// Whether one of the branches pushed is one that is listened to.
    private func counts(_ hook: Webhook) -> Bool {
        guard let branches = settings.branches, !hook.references.isEmpty else { return true }
        return hook.references.contains { reference in
            let name =
                reference.hasPrefix("refs/heads/")
                ? reference.dropFirst(11) : reference.hasPrefix("refs/tags/") ? reference.dropFirst(10) : reference[...]
            return branches.contains { Wildcard.matches($0, name) }
        }
    }

    private enum Kind {
        case form, json, nothing
        case other(String)
    }

    private static func kind(of request: HTTPRequest) -> Kind {
        let type = request.headers["Content-Type"] ?? ""
        let name = (type.split(separator: ";").first ?? "").lowercased().filter { $0 != " " && $0 != "\t" }
        if name == "application/x-www-form-urlencoded" { return .form }
        if request.body.isEmpty { return .nothing }
        return name == "application/json" || name.hasPrefix("application/") && name.hasSuffix("+json") ? .json : .other(type)
    }

    /// `path` parameters of query and body; or the JSON in `payload`, as GitHub sends it to hooks of that type. Nil when there is neither.
    private func form(_ request: HTTPRequest) -> Webhook? {
        let fields = FormURLEncoding.decode(String(decoding: request.body, as: UTF8.self))
        var paths = (request.parameters + fields).filter { $0.name == "path" }.map(\.value)
        if paths.count == 1 { paths = paths[0].split(separator: ",", omittingEmptySubsequences: paths[0].contains(",")).map(String.init) }
        if !paths.isEmpty { return Webhook(paths: paths) }
        guard let payload = fields.first(where: { $0.name == "payload" })?.value, let body = try? JSONReader.read(Array(payload.utf8))
        else {
            return nil
        }
        return Webhook(request.headers, body, disabled: settings.disabled)
    }

    private static func answer(_ services: [String]) -> HTTPResponse {
        var text = "["
        for (index, service) in services.enumerated() {
            if index > 0 { text += "," }
            JSONText.append(service, to: &text)
        }
        return HTTPResponse(bytes: Array((text + "]").utf8), type: "application/json")
    }
}
