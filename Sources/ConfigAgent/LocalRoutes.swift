import ConfigClient
import ConfigModel
import Crypto
package import HTTP
import PropertyFormats
import Telemetry

extension Agent {
    /// The routes of a configuration server for what this agent runs, so that a program that fetches for itself needs nothing but another
    /// address: the environment in both forms of JSON, and as one `.yml`, `.yaml`, `.json` or `.properties` file. Answers from memory, also
    /// while no server can be asked. Meant for loopback: it asks nobody for a token.
    package var localRoutes: Router {
        var router = Router()
        router.add("GET", "/health/live") { _, _ in HTTPResponse(text: "{\"status\":\"UP\"}\n", type: "application/json") }
        router.add("GET", "/health/ready") { [weak self] _, _ in
            let isReady = self?.client.snapshot != nil
            return HTTPResponse(isReady ? 200 : 503, text: "{\"status\":\"\(isReady ? "UP" : "DOWN")\"}\n", type: "application/json")
        }
        let answer: Router.Handler = { [weak self] request, _ in self?.answer(request) ?? HTTPResponse(503, text: "the agent is ending\n") }
        for pattern in ["/{a}", "/{a}/{b}", "/{a}/{b}/{c}"] { router.add("GET", pattern, answer) }
        return router
    }

    private func answer(_ request: HTTPRequest) -> HTTPResponse {
        let settings = configuration.client
        let profiles = settings.profiles.isEmpty ? "default" : settings.profiles.joined(separator: ",")
        guard let form = LocalForm(request.path, application: settings.application, profiles: profiles, label: settings.label) else {
            return HTTPResponse(
                404,
                text:
                    "this agent has the configuration of \(settings.application)/\(profiles) only; ask the configuration server for others\n"
            )
        }
        guard let snapshot = client.snapshot else {
            return HTTPResponse(503, text: "there is no configuration yet; ask again\n", headers: ["Retry-After": "1"])
        }
        let body: [UInt8]
        let type: String
        do throws(RenderingError) {
            switch form {
            case .environment:
                let accept = request.headers["Accept"] ?? ""
                let json = EnvironmentJSON.Form.allCases.last { accept.contains($0.mediaType) } ?? .plain
                (body, type) = (EnvironmentJSON.encode(snapshot.environment, as: json), json.mediaType)
            case .flat(let format): (body, type) = (try FlatFile.bytes(snapshot, format), format.mediaType)
            }
        } catch {
            return HTTPResponse(500, text: "\(error)\n")
        }
        let tag = "\"\(Hexadecimal.encode(Array(SHA256.digest(of: body).prefix(16))))\""
        var headers: HTTPHeaders = ["ETag": tag]
        if let version = snapshot.version { headers["X-Config-Version"] = version }
        if case .stale(let since, _) = client.state { headers["X-Config-Stale"] = "since \(Timestamp(milliseconds: since).text)" }
        let known = (request.headers["If-None-Match"] ?? "").split(separator: ",").map { $0.filter { $0 != " " } }
        if known.contains(tag) || known.contains("*") { return HTTPResponse(304, headers: headers) }
        return HTTPResponse(bytes: body, type: type, headers: headers)
    }
}

/// What a path asks an agent for, if it is its own configuration.
enum LocalForm: Hashable {
    case environment
    case flat(FlatFile.Format)

    /// `/{app}/{profiles}[/{label}]` and `[/{label}]/{app}-{profiles}.{extension}`; `(_)` in a path is a slash.
    init?(_ path: [String], application: String, profiles: String, label: String?) {
        let path = path.map { $0.replacing("(_)", with: "/") }
        func isOwn(_ given: String) -> Bool { given == label }
        switch path.count {
        case 1:
            guard let format = Self.file(path[0], "\(application)-\(profiles)") else { return nil }
            self = .flat(format)
        case 2 where path[0] == application && path[1] == profiles: self = .environment
        case 2:
            guard isOwn(path[0]), let format = Self.file(path[1], "\(application)-\(profiles)") else { return nil }
            self = .flat(format)
        case 3 where path[0] == application && path[1] == profiles && isOwn(path[2]): self = .environment
        default: return nil
        }
    }

    private static func file(_ name: String, _ stem: String) -> FlatFile.Format? {
        guard name.hasPrefix(stem + ".") else { return nil }
        return FlatFile.Format(rawValue: String(name.dropFirst(stem.count + 1)))
    }
}
