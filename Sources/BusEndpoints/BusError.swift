import Bus
import HTTP
import JSON
import Telemetry

/// Error bodies in the form of Spring Boot: `{"timestamp", "status", "error", "message", "path"}`.
enum BusError {
    static func response(_ status: Int, _ request: HTTPRequest, _ message: String) -> HTTPResponse {
        let reasons = [400: "Bad Request", 404: "Not Found", 409: "Conflict", 415: "Unsupported Media Type", 503: "Service Unavailable"]
        let body = JSONValue.object([
            JSONMember("timestamp", .string(Timestamp.now.text.replacing("Z", with: "+00:00"))),
            JSONMember("status", .number(String(status))),
            JSONMember("error", .string(reasons[status] ?? "Internal Server Error")), JSONMember("message", .string(message)),
            JSONMember("path", .string(request.pathText)),
        ])
        return HTTPResponse(status, text: body.written, type: "application/json")
    }

    static func unavailable(_ request: HTTPRequest, _ why: String, mayHaveArrived: Bool) -> HTTPResponse {
        let what = mayHaveArrived ? "the event may or may not have been published" : "the event was not published, and nothing has changed"
        var response = response(503, request, "\(what): \(why); try again")
        response.headers["Retry-After"] = "5"
        return response
    }
}
