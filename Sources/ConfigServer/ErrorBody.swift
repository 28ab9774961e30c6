import ConfigModel
import ConfigRepositories
import HTTP
import Telemetry

/// Answers that say why there is no other: JSON as the original's, with the reason always in it.
enum ErrorBody {
    static func response(_ status: Int, _ message: String, _ request: HTTPRequest, headers: HTTPHeaders = [:]) -> HTTPResponse {
        var text = "{\"timestamp\":\"\(Timestamp.now.text.dropLast())+00:00\",\"status\":\(status),\"error\":"
        JSONText.append(reason(status), to: &text)
        text += ",\"message\":"
        JSONText.append(message, to: &text)
        text += ",\"path\":"
        JSONText.append(request.rawPath, to: &text)
        return HTTPResponse(status, bytes: Array((text + "}").utf8), type: "application/json", headers: headers)
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

    private static func reason(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 503: "Service Unavailable"
        default: "Internal Server Error"
        }
    }
}
