internal import Telemetry

extension HTTPResponse {
    /// An error in the form of Spring Boot, which its clients read: `{"timestamp", "status", "error", "message", "path"}`. `path` is the request's
    /// unless given.
    package static func error(
        _ status: Int, _ message: String, _ request: HTTPRequest, path: String? = nil, headers: HTTPHeaders = [:]
    ) -> HTTPResponse {
        var text = "{\"timestamp\":\"\(Timestamp.now.text.dropLast())+00:00\",\"status\":\(status),\"error\":"
        JSONText.append(reason(status), to: &text)
        text += ",\"message\":"
        JSONText.append(message, to: &text)
        text += ",\"path\":"
        JSONText.append(path ?? request.pathText, to: &text)
        return HTTPResponse(status, bytes: Array((text + "}").utf8), type: "application/json", headers: headers)
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 409: "Conflict"
        case 415: "Unsupported Media Type"
        case 503: "Service Unavailable"
        default: "Internal Server Error"
        }
    }
}
