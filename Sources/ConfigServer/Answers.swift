import ConfigModel
import ConfigRepositories
import HTTP
import PropertyFormats
import Telemetry

/// Makes answers, without conditions and caches.
struct Answers {
    let repository: any ConfigRepository
    let settings: ConfigRoutes.Settings

    /// The environment as JSON.
    func environment(_ audience: Audience, _ form: EnvironmentJSON.Form) async throws(ConfigError) -> HTTPResponse {
        let environment = try await checked(audience)
        var response = HTTPResponse(bytes: EnvironmentJSON.encode(environment, as: form), type: form.mediaType)
        response.headers["Vary"] = "Accept"
        response.headers["X-Config-Version"] = environment.snapshot
        return response
    }

    /// The merged properties as one text.
    func flat(_ audience: Audience, _ form: ConfigTarget.FlatForm, resolves: Bool) async throws(ConfigError) -> HTTPResponse {
        let environment = try await checked(audience)
        let flat = FlatEnvironment(environment)
        let text: String
        do throws(FlatRenderingError) {
            switch form {
            case .properties: text = try flat.propertiesText(resolvingPlaceholders: resolves)
            case .yml, .yaml: text = try flat.yamlText(resolvingPlaceholders: resolves)
            case .json: text = try flat.jsonText(resolvingPlaceholders: resolves)
            }
        } catch {
            switch error {
            case .invalidKey: throw ConfigError(.invalid, error.description)
            case .placeholders(let error): throw ConfigError(.invalid, error.answer)
            }
        }
        var response = HTTPResponse(text: text, type: form == .json ? "application/json" : "text/plain")
        response.headers["X-Config-Version"] = environment.snapshot
        return response
    }

    /// A file as text with its placeholders filled in, or as bytes.
    func resource(_ path: String, _ audience: Audience, _ request: HTTPRequest) async throws(ConfigError) -> HTTPResponse {
        let resolves = try request.resolvesPlaceholders()
        // As in the original, a name with a percent sign that begins no sequence is an error, not a missing file.
        guard !path.contains("%") || Names.isDecodable(path) else { throw ConfigError(.broken, "No message available") }
        let found: ConfigResource
        do {
            try Names.check(audience)
            found = try await repository.resource(path, for: audience)
        } catch {
            if error.code == .notFound || error.code == .invalid { return HTTPResponse(404) }
            throw error
        }
        let acceptance = Acceptance(request.headers["Accept"])
        var response: HTTPResponse
        if acceptance.wantsBytes {
            response = HTTPResponse(bytes: found.bytes, type: "application/octet-stream")
        } else {
            var text = String(decoding: found.bytes, as: UTF8.self)
            if resolves, text.contains("${") {
                do { text = try await resolved(text, audience) } catch {
                    if error.code == .notFound || error.code == .invalid { return HTTPResponse(404) }
                    throw error
                }
            }
            response = HTTPResponse(text: text, type: acceptance.textType)
        }
        response.headers["Vary"] = "Accept"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Config-Version"] = found.version
        response.headers["Last-Modified"] = HTTPDate.text(found.modified ?? ServerStart.seconds)
        return response
    }

    /// The text with its placeholders filled in from the audience's environment.
    private func resolved(_ text: String, _ audience: Audience) async throws(ConfigError) -> String {
        let values = Placeholders.values(of: try await repository.environment(for: audience))
        do { return try Placeholders.resolve(text) { values[$0] } } catch { throw ConfigError(.broken, error.answer) }
    }

    private func checked(_ audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        try Names.check(audience)
        let environment = try await repository.environment(for: audience)
        guard settings.acceptsEmpty || !environment.propertySources.isEmpty else { throw ConfigError(.notFound, "Application Not Found") }
        return environment
    }
}

/// When this process began: nothing that it serves is older to a client than that where files have no date.
enum ServerStart {
    static let seconds = Timestamp.now.milliseconds / 1000
}
