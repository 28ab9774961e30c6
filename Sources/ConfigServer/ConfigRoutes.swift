package import ConfigModel
package import ConfigRepositories
package import HTTP
import Synchronization

/// The HTTP surface of the configuration server: `/{app}/{profiles}[/{label}]` and its relatives (config.md §1). It answers whatever no other route
/// of the router does.
package final class ConfigRoutes: Sendable {
    package struct Settings: Sendable {
        /// Segments in front of every path; nothing is reserved behind them.
        package var prefix: [String]
        /// Whether an environment without any source is an answer; otherwise it is 404.
        package var acceptsEmpty: Bool
        /// How long an audience is remembered that does not ask again.
        package var remembersAudiences: Duration
        /// Bytes of answers that are kept.
        package var cacheLimit: Int

        package init(
            prefix: String = "", acceptsEmpty: Bool = true, remembersAudiences: Duration = .seconds(86_400), cacheLimit: Int = 8 << 20
        ) {
            self.prefix = prefix.split(separator: "/").map(String.init)
            self.acceptsEmpty = acceptsEmpty
            self.remembersAudiences = remembersAudiences
            self.cacheLimit = cacheLimit
        }
    }

    /// First segments that can never be read as an application's name.
    package static let reserved: Set<String> = [
        "actuator", "bus", "channels", "convergence", "scaling", "eureka", "monitor", "encrypt", "decrypt", "key", "health", "metrics",
        "dashboard",
    ]

    let settings: Settings
    let repository: any ConfigRepository
    private let freshness: Freshness
    private let cache: AnswerCache
    private let log: AudienceLog

    /// `changing` are the repositories that can be asked to look for changes now, when a client wants a version that is not served yet.
    package init(_ repository: any ConfigRepository, settings: Settings = Settings(), changing: [any ChangingRepository] = []) {
        self.repository = repository
        self.settings = settings
        freshness = Freshness(repository, changing: changing)
        cache = AnswerCache(limit: settings.cacheLimit)
        log = AudienceLog(limit: 10_000)
    }

    /// Makes the router ask here whatever its routes do not answer.
    package func install(in router: inout Router) {
        KeylessEncryption(prefix: settings.prefix).add(to: &router)
        let (otherwise, unclean) = (router.notFound, router.unclean)
        router.notFound = { [self] request in isReserved(request) ? await otherwise(request) : await respond(to: request) }
        router.unclean = { [self] request in isReserved(request) ? await unclean(request) : await respond(to: request) }
        router.add { [self] head in cached(head) }
    }

    private func isReserved(_ request: HTTPRequest) -> Bool {
        settings.prefix.isEmpty && request.path.first.map(Self.reserved.contains) == true
    }

    /// Who asked lately, and so is to be told of changes.
    package var audiences: [Audience] {
        let since = AnswerCache.Entry.now - Int(settings.remembersAudiences.components.seconds)
        for entry in cache.entries { log.asked(entry.audience, at: entry.asked.load(ordering: .relaxed)) }
        return log.audiences(since: since)
    }

    /// An answer that is kept, without waiting. Nil for what was not asked for before, and for requests with conditions that need a closer look.
    package func cached(_ head: borrowing RequestHead) -> CachedResponse? {
        guard let generation = repository.generation,
            let entry = cache.entry(head.target, accept: head.header("Accept"), generation: generation),
            head.header("X-Config-Min-Version") == nil, head.header("If-Modified-Since") == nil
        else { return nil }
        guard let tag = head.header("If-None-Match") else { return entry.whole }
        return EntityTag.matches(tag, entry.tag) ? entry.notModified : entry.whole
    }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        guard request.path.starts(with: settings.prefix),
            let target = ConfigTarget(
                Array(request.path.dropFirst(settings.prefix.count)), usesDefaultLabel: request.parameter("useDefaultLabel") != nil)
        else { return ErrorBody.nothing(request) }
        switch request.method {
        case "GET", "HEAD": break
        case "OPTIONS": return HTTPResponse(200, headers: ["Allow": "GET, HEAD, OPTIONS"])
        default:
            return ErrorBody.response(
                405, "Method '\(request.method)' is not supported.", request, headers: ["Allow": "GET, HEAD, OPTIONS"])
        }
        do {
            if let minimum = request.headers["X-Config-Min-Version"] ?? request.parameter("minVersion") {
                try await freshness.reach(minimum, for: target.audience)
            }
            return try await answer(target, request)
        } catch {
            return ErrorBody.response(error, target, request)
        }
    }

    private func answer(_ target: ConfigTarget, _ request: HTTPRequest) async throws(ConfigError) -> HTTPResponse {
        let generation = repository.generation
        let answers = Answers(repository: repository, settings: settings)
        var response: HTTPResponse
        switch target {
        case .environment(let audience):
            guard let form = Acceptance(request.headers["Accept"]).environmentForm else {
                // The path with a label is also that of a resource without a name, which takes any type and does not exist.
                if audience.label != nil { return HTTPResponse(404) }
                return ErrorBody.response(
                    406, "Acceptable representations: [\(EnvironmentJSON.Form.withOrigins.mediaType), application/json].", request,
                    headers: ["Vary": "Accept"])
            }
            response = try await answers.environment(audience, form)
        case .flat(let audience, let form):
            response = try await answers.flat(audience, form, resolves: try request.resolvesPlaceholders())
        case .resource(let audience, let path):
            guard !request.rawPath.contains(";") else { return HTTPResponse(404) }  // what follows is a parameter, which no file has
            response = try await answers.resource(path, audience, request)
        }
        guard response.status == 200 else { return response }
        log.asked(target.audience, at: AnswerCache.Entry.now)
        mark(&response, target.audience)
        let tag = EntityTag.of(response.bytes ?? [])
        response.headers["ETag"] = tag
        let notModified = Self.notModified(response)
        if let generation, request.parameter("minVersion") == nil {
            let entry = AnswerCache.Entry(
                target: Array(request.rawTarget.utf8), accept: request.headers["Accept"], tag: tag, audience: target.audience,
                whole: response,
                notModified: notModified)
            for old in cache.insert(entry, generation: generation) { log.asked(old.audience, at: old.asked.load(ordering: .relaxed)) }
        }
        if let condition = request.headers["If-None-Match"] { return EntityTag.matches(condition, tag) ? notModified : response }
        if let condition = request.headers["If-Modified-Since"].flatMap(HTTPDate.seconds),
            let modified = response.headers["Last-Modified"].flatMap(HTTPDate.seconds), modified <= condition
        {
            return notModified
        }
        return response
    }

    /// What a client should know beside the answer.
    private func mark(_ response: inout HTTPResponse, _ audience: Audience) {
        let status = repository.status(for: audience)
        if let since = status.staleSince { response.headers["X-Config-Stale"] = "since \(HTTPDate.text(since))" }
        if let rejected = status.rejected {
            response.headers["X-Config-Rejected"] = "\(rejected.version) \(rejected.reason)".fieldText
        }
    }

    private static func notModified(_ response: HTTPResponse) -> HTTPResponse {
        var result = HTTPResponse(304)
        for name in ["ETag", "Last-Modified", "Vary", "Cache-Control", "X-Config-Version", "X-Config-Stale", "X-Config-Rejected"] {
            if let value = response.headers[name] { result.headers[name] = value }
        }
        return result
    }
}

extension HTTPRequest {
    /// Whether `${…}` is replaced: unless `resolvePlaceholders` says no. Throws `.invalid` when it says neither yes nor no.
    func resolvesPlaceholders() throws(ConfigError) -> Bool {
        let text = parameter("resolvePlaceholders") ?? ""
        switch text.lowercased() {
        case "", "true", "on", "yes", "1": return true
        case "false", "off", "no", "0": return false
        default:
            throw ConfigError(
                .invalid,
                "Method parameter 'resolvePlaceholders': Failed to convert value of type 'java.lang.String' to required type 'boolean'; "
                    + "Invalid boolean value [\(text)]")
        }
    }

    /// The target as sent, in origin form.
    var rawTarget: String { query.isEmpty ? rawPath : "\(rawPath)?\(query)" }
}

extension String {
    /// One line of visible ASCII for a header field; everything else becomes a question mark, and what is too long is cut.
    var fieldText: String { String(unicodeScalars.prefix(300).map { (0x20..<0x7F).contains($0.value) ? Character($0) : "?" }) }
}
