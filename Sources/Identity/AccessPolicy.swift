import Crypto
package import HTTP

/// What a caller may do; reading configuration and events needs none of these.
package enum Permission: String, Sendable, Hashable, CaseIterable {
    /// A bus refresh, or a webhook that carries no signature.
    case refresh
    /// An environment change over the bus.
    case env
    /// An event into a channel.
    case publish
    /// Taking and settling the deliveries of a group.
    case subscribe
    /// Overriding scaling policies for a while.
    case scale
}

/// Who may change something on this server.
///
/// Closed by default: without a token nobody may, unless the server listens on loopback only. Everything that only reads is open, but for
/// `user`, which stands before the whole server as Spring Security's single user does.
package struct AccessPolicy: Sendable {
    package struct Token: Sendable {
        package let name: String
        fileprivate let value: [UInt8]
        package let may: Set<Permission>
        package init(name: String, value: String, may: Set<Permission>) {
            self.name = name
            self.value = Array(value.utf8)
            self.may = may
        }
    }

    package struct User: Sendable {
        package let name: String
        fileprivate let credentials: [UInt8]
        package init(name: String, password: String) {
            self.name = name
            credentials = Array("\(name):\(password)".utf8)
        }
    }

    private let tokens: [Token]
    private let isOpen: Bool
    private let isLoopback: Bool
    private let user: User?
    /// First segments whose requests prove themselves in another way, such as signed web hooks.
    private let selfProving: Set<String>

    /// `isOpen` says that the network is trusted; `isLoopback` that nobody from outside can reach the server.
    package init(tokens: [Token] = [], isOpen: Bool = false, isLoopback: Bool, user: User? = nil, selfProving: Set<String> = []) {
        self.selfProving = selfProving
        self.tokens = tokens
        self.isOpen = isOpen
        self.isLoopback = isLoopback
        self.user = user
    }

    /// Whether strangers on the network may change something.
    package var leavesDoorsOpen: Bool { isOpen && !isLoopback && user == nil }

    /// Nil when the request may go on; else the answer that refuses it and says what is missing.
    package func refusal(of request: HTTPRequest) -> HTTPResponse? {
        if let user {
            guard let given = Self.credentials(of: request, scheme: "Basic"), let plain = Base64.decode(given),
                ConstantTime.equal(plain, user.credentials)
            else {
                return Self.refuse(401, "this server asks for its user and password", challenge: "Basic realm=\"Realm\"")
            }
            return nil
        }
        guard let permission = Self.permission(for: request), !isOpen, !selfProving.contains(request.path.first ?? "") else { return nil }
        if let given = Self.credentials(of: request, scheme: "Bearer") {
            // Every token is compared, so that the time tells nothing of which one was close.
            let known = tokens.filter { ConstantTime.equal(Array(given.utf8), $0.value) }
            guard let token = known.first else { return Self.refuse(401, "the token is none that this server knows") }
            guard token.may.contains(permission) else {
                return Self.refuse(
                    403, "the token `\(token.name)` may not \(permission.rawValue); add it to `may:` of the token in `security:`")
            }
            return nil
        }
        if tokens.isEmpty, isLoopback {
            // A web page in a browser on this machine is not the person in front of it.
            if let origin = request.headers["Origin"], !Self.isLocal(origin) {
                return Self.refuse(403, "a page from \(origin) may not change anything here; set a token in `security:`")
            }
            return nil
        }
        let remedy =
            tokens.isEmpty
            ? "set `security: tokens:` in its settings, or `security: open` where the network is trusted"
            : "send `Authorization: Bearer …` with one of its tokens"
        return Self.refuse(401, "this needs a token that may `\(permission.rawValue)`: \(remedy)")
    }

    /// Whether the request shows a token that may do this.
    package func hasToken(_ request: HTTPRequest, may permission: Permission) -> Bool {
        guard let given = Self.credentials(of: request, scheme: "Bearer") else { return false }
        return tokens.contains { ConstantTime.equal(Array(given.utf8), $0.value) && $0.may.contains(permission) }
    }

    /// Middleware that stands before all routes.
    package var middleware: Router.Middleware {
        { request, next in
            if let refusal = refusal(of: request) { return refusal }
            return await next(request)
        }
    }

    /// What a request needs; nil for one that changes nothing.
    package static func permission(for request: HTTPRequest) -> Permission? {
        guard request.method != "GET", request.method != "HEAD", request.method != "OPTIONS", let first = request.path.first else {
            return nil
        }
        let second = request.path.dropFirst().first ?? ""
        switch first {
        case "channels": return request.path.count > 2 ? .subscribe : .publish
        case "bus": return second.hasPrefix("env") ? .env : .refresh
        case "scaling": return .scale
        case "actuator": return second.contains("env") ? .env : .refresh
        default: return .refresh
        }
    }

    private static func credentials(of request: HTTPRequest, scheme: String) -> String? {
        guard let header = request.headers["Authorization"] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == scheme.lowercased() else { return nil }
        return parts[1].trimmingPrefix(while: { $0 == " " }).description
    }

    private static func isLocal(_ origin: String) -> Bool {
        let parts = origin.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasSuffix(":"), parts[1].isEmpty else { return false }
        let rest = parts[2]
        let host = rest.hasPrefix("[") ? rest.prefix { $0 != "]" } + "]" : rest.prefix { $0 != ":" }
        return host == "localhost" || host == "[::1]" || isLoopbackAddress(String(host))
    }

    /// Whether an address can only be reached from this machine.
    package static func isLoopbackAddress(_ address: String) -> Bool {
        let parts = address.split(separator: ".")
        return address == "localhost" || address == "::1" || parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func refuse(_ status: Int, _ what: String, challenge: String = "Bearer") -> HTTPResponse {
        HTTPResponse(status, text: what + "\n", headers: status == 401 ? ["WWW-Authenticate": challenge] : [:])
    }
}
