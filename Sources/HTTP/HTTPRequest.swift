/// One request, whole, as a value. The server has already refused what RFC 9112 refuses, and decoded the path by segment.
package struct HTTPRequest: Sendable {
    package var method: String
    /// The path, split at `/` and percent-decoded: `/a/b%20c` is `["a", "b c"]`, `/` is `[""]`, `/a/` is `["a", ""]`.
    package var path: [String]
    /// The path as sent, still encoded.
    package var rawPath: String
    /// The query as sent, without `?`; empty when there is none.
    package var query: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// Address of the peer, for logs and limits: `127.0.0.1`.
    package var remoteAddress: String
    /// Set by the server when the peer showed a client certificate that its `client-ca` has signed: the subject's distinguished name.
    package var clientCertificate: String?
    /// Whether the connection is TLS.
    package var isSecure: Bool

    /// `target` is an origin-form target such as `/a/b?c=d`. Returns nil where the path cannot be decoded (see `Target`).
    package init?(
        _ method: String, _ target: String, headers: HTTPHeaders = [:], body: [UInt8] = [], remoteAddress: String = "127.0.0.1",
        clientCertificate: String? = nil, isSecure: Bool = false
    ) {
        guard let target = Target(Array(target.utf8)) else { return nil }
        self.init(
            method: method, target: target, headers: headers, body: body, remoteAddress: remoteAddress,
            clientCertificate: clientCertificate, isSecure: isSecure)
    }

    package init(
        method: String, target: Target, headers: HTTPHeaders, body: [UInt8], remoteAddress: String,
        clientCertificate: String? = nil, isSecure: Bool = false
    ) {
        self.method = method
        path = target.path
        rawPath = target.rawPath
        query = target.query
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.clientCertificate = clientCertificate
        self.isSecure = isSecure
    }

    /// The path as text, segments joined by `/`.
    package var pathText: String { "/" + path.joined(separator: "/") }

    /// Query parameters in order, `+` and percent sequences decoded; a name without `=` has the value "".
    package var parameters: [(name: String, value: String)] { FormURLEncoding.decode(query) }

    /// The first value of a query parameter.
    package func parameter(_ name: String) -> String? { parameters.first { $0.name == name }?.value }
}
