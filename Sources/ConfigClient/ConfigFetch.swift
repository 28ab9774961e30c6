import ConfigModel
import Crypto
import HTTP
import HTTPClient
import Locking
import Telemetry

/// Asks the configuration servers, in their order.
final class ConfigFetch: Sendable {
    struct Answer: Sendable {
        var snapshot: ConfigSnapshot
        var body: [UInt8]
        var entityTag: String?
    }
    enum Outcome: Sendable {
        case fetched(Answer)
        /// The content is the one that was asked with; the server gives it this version now.
        case unchanged(version: String?)
    }

    private let settings: ConfigClientSettings
    private let http: HTTPClient
    private let log: Log
    private let path: String
    /// Servers that failed, and until when they are asked last.
    private let failed = Locked<[String: ContinuousClock.Instant]>([:])
    /// What each server said last about its own state.
    private let said = Locked<[String: [String?]]>([:])
    private static let penalty = Duration.seconds(30)
    static let mediaType = "application/vnd.spring-cloud.config-server.v2+json"

    /// Throws `.invalid` for settings that cannot be used.
    init(_ settings: ConfigClientSettings, log: Log) throws(ConfigError) {
        guard !settings.servers.isEmpty else {
            throw ConfigError(.invalid, "no configuration server is named; name one, such as http://127.0.0.1:8888")
        }
        for server in settings.servers {
            guard server.hasPrefix("http://") || server.hasPrefix("https://") else {
                throw ConfigError(.invalid, "\(HTTPClientRequest.shown(server)) is no http or https URL")
            }
        }
        guard !settings.application.isEmpty else {
            throw ConfigError(.invalid, "no application is named; name the one whose configuration is wanted")
        }
        self.settings = settings
        self.log = log
        http = HTTPClient(
            HTTPClientConfiguration(
                tls: .init(
                    authorityFile: settings.tls.authorityFile, certificateFile: settings.tls.certificateFile, keyFile: settings.tls.keyFile),
                connectLimit: settings.connectLimit, totalLimit: settings.requestLimit, responseLimit: 64 << 20))
        let profiles = settings.profiles.isEmpty ? "default" : settings.profiles.joined(separator: ",")
        var segments = [settings.application, profiles]
        if let label = settings.label, !label.isEmpty { segments.append(label) }
        // `(_)` stands for a slash within a segment.
        path = segments.map { "/" + PercentEncoding.encode($0.replacing("/", with: "(_)"), keeping: ",()") }.joined()
    }

    /// The first answer of a server. Throws the error of the last one, which names what each of several said.
    func fetch(known: (snapshot: ConfigSnapshot, entityTag: String?)?, minimumVersion: String?) async throws(ConfigError) -> Outcome {
        var reasons: [ConfigError] = []
        for server in order() {
            do throws(ConfigError) {
                let outcome = try await ask(server, known, minimumVersion)
                failed.withLock { $0[server] = nil }
                return outcome
            } catch {
                if error.code == .cancelled { throw error }
                failed.withLock { $0[server] = .now + Self.penalty }
                reasons.append(error)
            }
        }
        guard let first = reasons.first, reasons.count > 1 else {
            throw reasons.first ?? ConfigError(.invalid, "no configuration server is named")
        }
        // Trying again helps when it may help with one of them.
        let code = (reasons.first { $0.isRetriable } ?? first).code
        throw ConfigError(code, "no server has the configuration: " + reasons.map(\.message).joined(separator: "; "))
    }

    private func order() -> [String] {
        let failed = failed.withLock { $0 }
        let now = ContinuousClock.now
        let isBad = { (server: String) in (failed[server] ?? now) > now }
        return settings.servers.filter { !isBad($0) } + settings.servers.filter(isBad)
    }

    private func ask(
        _ server: String, _ known: (snapshot: ConfigSnapshot, entityTag: String?)?, _ minimumVersion: String?
    ) async throws(ConfigError) -> Outcome {
        let base = server.hasSuffix("/") ? String(server.dropLast()) : server
        var headers = HTTPHeaders(settings.headers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
        headers["Accept"] = Self.mediaType
        if let token = settings.token { headers["Authorization"] = "Bearer \(token)" }
        if let tag = known?.entityTag { headers["If-None-Match"] = tag }
        if let minimumVersion, Self.isVersion(minimumVersion) { headers["X-Config-Min-Version"] = minimumVersion }
        let request = HTTPClientRequest(
            "GET", base + path, headers: headers,
            credentials: settings.credentials.map { HTTPClientRequest.Credentials(user: $0.user, password: $0.password) })
        let response: HTTPClientResponse
        do {
            response = try await http.send(request)
        } catch {
            switch error.code {
            case .cancelled: throw ConfigError(.cancelled, error.message)
            case .invalid: throw ConfigError(.invalid, error.message)
            default: throw ConfigError(.unreachable, error.message)
            }
        }
        note(response.headers, HTTPClientRequest.shown(server))
        if response.status == 503, let minimumVersion {
            throw ConfigError(
                .unreachable,
                "\(request.shownURL) does not have the version \(minimumVersion.prefix(64)) yet, or has no answer now (503); look at that server's log"
            )
        }
        return try read(response, request.shownURL, known?.snapshot)
    }

    /// Whether a server can be asked for it. The versions of several labels at once cannot; anything may come with an event.
    private static func isVersion(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-._".contains($0)) }
    }

    /// Logs what the server says about its own state, once for each thing it says.
    private func note(_ headers: HTTPHeaders, _ server: String) {
        let now = [headers["X-Config-Rejected"], headers["X-Config-Stale"]]
        let before = said.withLock { said in
            defer { said[server] = now }
            return said[server] ?? [nil, nil]
        }
        if let rejected = now[0], rejected != before[0] {
            log.warning("the server keeps an older version, a newer one was rejected", ["server": server, "rejected": rejected])
        }
        if let stale = now[1], before[1] == nil {
            log.warning("the server cannot read its repository and serves what it read last", ["server": server, "stale": stale])
        }
    }

    private func read(_ response: HTTPClientResponse, _ url: String, _ known: ConfigSnapshot?) throws(ConfigError) -> Outcome {
        switch response.status {
        case 304 where known != nil: return .unchanged(version: response.headers["X-Config-Version"])
        case 200:
            var environment: ConfigEnvironment
            do {
                environment = try EnvironmentJSON.decode(response.body)
            } catch {
                throw ConfigError(.broken, "\(url) answered with what is \(error.description); is a configuration server there?")
            }
            environment.snapshot = response.headers["X-Config-Version"] ?? environment.version
            return .fetched(Answer(snapshot: ConfigSnapshot(environment), body: response.body, entityTag: response.headers["ETag"]))
        case 401, 403:
            throw ConfigError(.refused, "\(url) refuses this client (\(response.status)); check the token or the credentials")
        case 404: throw ConfigError(.notFound, "\(url) is not there (404); check application, profiles and label")
        case 400...499:
            throw ConfigError(.invalid, "\(url) does not take the request (\(response.status)); check application, profiles and label")
        default: throw ConfigError(.unreachable, "\(url) has no answer now (\(response.status)); look at that server's log")
        }
    }
}
