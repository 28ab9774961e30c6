import ConfigModel
import ConfigRepositories
import HTTP

/// Answers that say why there is no other: JSON as the original's, with the reason always in it.
enum ErrorBody {
    static func response(_ status: Int, _ message: String, _ request: HTTPRequest, headers: HTTPHeaders = [:]) -> HTTPResponse {
        .error(status, message, request, path: request.rawPath, headers: headers)
    }

    /// The status that an error's code stands for. An unreachable repository is not a missing label: 503, to be asked again.
    static func response(_ error: ConfigError, _ target: ConfigTarget, _ request: HTTPRequest) -> HTTPResponse {
        if let original = error.original {
            let audience = target.audience
            var withOrigins = false
            if case .environment = target { withOrigins = Acceptance(request.headers["Accept"]).environmentForm == .withOrigins }
            let message =
                "Could not construct context for config=\(audience.applications.joined(separator: ",")) "
                + "profile=\(audience.profiles.joined(separator: ",")) label= includeOrigin=\(withOrigins); nested exception is \(original)"
            // The original does not name the file.
            return response(500, message, request, headers: ["X-Config-Error": error.message.fieldText])
        }
        return switch error.code {
        case .notFound: response(404, error.message, request)
        case .invalid: response(400, error.message, request)
        case .broken: response(500, error.message, request)
        case .unavailable: response(503, error.message, request, headers: ["Retry-After": "5"])
        }
    }

    /// Where nothing is served at all.
    static func nothing(_ request: HTTPRequest) -> HTTPResponse {
        response(404, "No static resource \(request.path.filter { !$0.isEmpty }.joined(separator: "/")).", request)
    }
}
