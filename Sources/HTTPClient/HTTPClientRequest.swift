package import HTTP

/// A request to send.
package struct HTTPClientRequest: Sendable, CustomStringConvertible {
    /// Sent as `Authorization: Basic …`. Never shown by `description`.
    package struct Credentials: Sendable, CustomStringConvertible {
        package var user: String
        package var password: String
        package init(user: String, password: String) {
            self.user = user
            self.password = password
        }
        package var description: String { "\(user):***" }
    }

    package var method: String
    /// An absolute `http` or `https` URL, percent-encoded. May carry credentials (`http://user:password@host/`).
    package var url: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    package var credentials: Credentials?
    /// The whole of `send`, redirects included; a stream has none unless it is named here.
    package var totalLimit: Duration?
    /// How long nothing may come; nil: as the client is configured.
    package var idleLimit: Duration?
    /// The largest body that `send` takes, in bytes; nil: as the client is configured.
    package var responseLimit: Int?

    package init(
        _ method: String = "GET", _ url: String, headers: HTTPHeaders = [:], body: [UInt8] = [], credentials: Credentials? = nil,
        totalLimit: Duration? = nil, idleLimit: Duration? = nil, responseLimit: Int? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.credentials = credentials
        self.totalLimit = totalLimit
        self.idleLimit = idleLimit
        self.responseLimit = responseLimit
    }

    /// The URL for messages: without credentials and without its query, which may carry a token.
    package var shownURL: String { Self.shown(url) }

    /// Host and port that a URL leads to; nil for what is no `http` or `https` URL.
    package static func address(of url: String) -> (host: String, port: Int)? {
        URLParts(url).map { ($0.host.hasPrefix("[") ? String($0.host.dropFirst().dropLast()) : $0.host, $0.port) }
    }

    /// Method and URL for messages: header fields and bodies may hold secrets.
    package var description: String { "\(method) \(shownURL)" }

    /// The host that this client would ask, in lower case; nil for what is no http or https URL.
    package static func host(of url: String) -> String? { URLParts(url)?.host }

    /// Any text that should be a URL, for messages. What cannot be told from a password is hidden, too.
    package static func shown(_ url: String) -> String {
        var rest = url[...]
        if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = rest[..<end] }
        guard let scheme = rest.firstRange(of: "://") else {
            return String(rest[(rest.lastIndex(of: "@").map { rest.index(after: $0) } ?? rest.startIndex)...])
        }
        let end = rest[scheme.upperBound...].firstIndex(of: "/") ?? rest.endIndex
        var host = rest[scheme.upperBound..<end]
        if let at = host.lastIndex(of: "@") { host = host[host.index(after: at)...] }
        // A password with a slash or question mark in it cuts the authority short: then what looks like a port is none.
        let port = host.lastIndex(of: ":").map { host[host.index(after: $0)...] } ?? ""
        guard host.hasSuffix("]") || port.allSatisfy({ $0.isASCII && $0.isNumber }) else { return rest[..<scheme.upperBound] + "***" }
        return String(rest[..<scheme.upperBound]) + host + rest[end...]
    }
}
