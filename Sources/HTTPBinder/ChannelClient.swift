internal import HTTP
internal import HTTPClient
internal import Lifecycle
internal import Streams

/// Requests to another Carillon's event channels, and what their answers mean.
struct ChannelClient: Sendable {
    let client: HTTPClient
    let configuration: HTTPBinderConfiguration
    private let base: String

    init(_ configuration: HTTPBinderConfiguration) {
        client = HTTPClient(configuration.client)
        self.configuration = configuration
        base = configuration.url.hasSuffix("/") ? String(configuration.url.dropLast()) : configuration.url
    }

    /// For messages: without credentials.
    var server: String { HTTPClientRequest.shown(base) }

    func request(
        _ method: String, _ destination: Destination?, _ group: ConsumerGroup? = nil, _ verb: String = "", query: [(String, String)] = [],
        body: WireValue? = nil, type: String = "application/json"
    ) -> HTTPClientRequest {
        var url = base + "/channels"
        if let destination { url += "/" + PercentEncoding.encode(destination.name) }
        if let group { url += "/groups/" + PercentEncoding.encode(group.name) }
        if !verb.isEmpty { url += "/" + verb }
        if !query.isEmpty { url += "?" + query.map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&") }
        var headers: HTTPHeaders = ["Accept": "application/json"]
        if body != nil { headers["Content-Type"] = type }
        if let token = configuration.token() { headers["Authorization"] = "Bearer \(token)" }
        return HTTPClientRequest(method, url, headers: headers, body: body?.bytes ?? [], responseLimit: 64 << 20)
    }

    /// Sends and returns the body of a success; nil where it has none.
    func send(_ request: HTTPClientRequest) async throws(BinderError) -> WireValue? {
        let response: HTTPClientResponse
        do { response = try await client.send(request) } catch { throw binderError(error) }
        guard response.isSuccess else { throw refusal(response.status, response.body) }
        guard !response.body.isEmpty else { return nil }
        do { return try WireValue(response.body) } catch { throw BinderError(.broken, "\(server) answered with \(error)") }
    }

    /// `limit` at the most for everything that `body` tries; it is tried again only where the server surely has not seen it, or does not mind.
    func retrying<T: Sendable>(
        within limit: Duration, repeatable: Bool, _ body: () async throws(BinderError) -> T
    ) async throws(BinderError) -> T {
        let end = ContinuousClock.now + limit
        var backOff = BackOff(first: configuration.firstPause, longest: configuration.longestPause)
        while true {
            let failure: BinderError
            do { return try await body() } catch { failure = error }
            let mayRepeat = failure.code == .unreachable || repeatable && failure.code == .timedOut
            let pause = backOff.next()
            guard mayRepeat, ContinuousClock.now + pause < end else { throw failure }
            do { try await Task.sleep(for: pause) } catch { throw BinderError(.cancelled, "waiting for \(server) was cancelled") }
        }
    }

    // MARK: Errors

    func binderError(_ error: HTTPClientError) -> BinderError {
        switch error.code {
        case .invalid: BinderError(.invalid, error.message)
        case .unresolved, .unreachable, .tls, .redirected: BinderError(.unreachable, error.message)
        case .timedOut, .interrupted: BinderError(.timedOut, error.message)
        case .tooLarge: BinderError(.broken, error.message)
        case .cancelled: BinderError(.cancelled, error.message)
        default: BinderError(.closed, error.message)
        }
    }

    func refusal(_ status: Int, _ body: [UInt8]) -> BinderError {
        let value = try? WireValue(body)
        let word = value?["error"]?.string
        let message = "\(server) answered \(status): \(value?["message"]?.string ?? String(decoding: body.prefix(200), as: UTF8.self))"
        let code: BinderError.Code =
            switch (status, word) {
            case (401, _), (403, _): .refused
            case (404, "unknown"), (400, _): .invalid
            case (404, "unroutable"): .unroutable
            case (409, _): .conflict
            case (413, _): .tooLarge
            case (503, "blocked"), (429, _): .blocked
            case (501, _): .unsupported
            case (503, "timedOut"): .timedOut
            case (503, "rejected"): .rejected
            case (503, "refused"): .refused
            case (404, _): .invalid
            default: status >= 500 ? .unreachable : .broken
            }
        return BinderError(code, message)
    }
}
