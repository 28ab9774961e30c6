internal import HTTP
internal import Streams

/// A refusal with its answer: `{"error": code, "message": what, where and the remedy}`.
struct ChannelError: HTTPError {
    let status: Int
    let code: String
    let message: String
    var retryAfter: Int?
    /// What is said besides.
    var details: [WireValue.Member] = []

    init(_ status: Int, _ code: String, _ message: String, retryAfter: Int? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
    }

    init(_ error: BinderError) {
        let status =
            switch error.code {
            case .invalid: 400
            case .unroutable: 404
            case .conflict: 409
            case .tooLarge: 413
            case .unsupported: 501
            default: 503
            }
        self.init(status, error.code.description, error.message, retryAfter: status == 503 ? 1 : nil)
    }

    /// For looking at a group by its names: what is invalid then is one that nobody knows.
    init(unknown error: BinderError) { self = error.code == .invalid ? ChannelError(404, "unknown", error.message) : ChannelError(error) }

    /// What any error of a handler is answered with.
    static func of(_ error: any Error) -> ChannelError {
        if let error = error as? ChannelError { return error }
        if let error = error as? BinderError { return ChannelError(error) }
        if let error = error as? CloudEventError { return ChannelError(400, "invalid", error.description) }
        return ChannelError(500, "failed", "\(error)")
    }

    var wire: WireValue { .object([.init("error", .string(code)), .init("message", .string(message))] + details) }

    var response: HTTPResponse {
        var response = HTTPResponse.json(status, wire)
        if let retryAfter { response.headers["Retry-After"] = String(retryAfter) }
        return response
    }
}

extension HTTPResponse {
    static func json(_ status: Int = 200, _ value: WireValue) -> HTTPResponse {
        HTTPResponse(status, bytes: value.bytes + [10], type: "application/json", headers: ["Cache-Control": "no-store"])
    }
}
