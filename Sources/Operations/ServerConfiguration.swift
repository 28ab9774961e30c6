import FoundationEssentials
package import HTTPServer
package import Identity
package import Settings

extension CarillonSettings {
    /// The tokens of `security:` as the access policy knows them.
    var tokens: [AccessPolicy.Token] {
        guard case .tokens(let tokens) = security else { return [] }
        return tokens.map { token in
            AccessPolicy.Token(
                name: token.name, value: token.value, may: Set(token.may.compactMap { Identity.Permission(rawValue: $0.rawValue) }))
        }
    }

    /// Settings of the HTTP server. Throws when a certificate or key cannot be read.
    package func httpServer() throws(SettingsError) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration()
        configuration.address = server.address
        configuration.port = server.port
        configuration.limits.bodyBytes = server.maximumBody
        if let tls = server.tls {
            configuration.tls = HTTPServerTLS(
                certificate: try Self.file(tls.certificate, "server.tls.certificate"), key: try Self.file(tls.key, "server.tls.key"),
                clientCA: try tls.clientCA.map { path throws(SettingsError) in try Self.file(path, "server.tls.client-ca") })
        }
        return configuration
    }

    /// The access policy that these settings ask for.
    package var access: AccessPolicy {
        AccessPolicy(
            tokens: tokens, isOpen: security == .open, isLoopback: AccessPolicy.isLoopbackAddress(server.address),
            user: user.map { AccessPolicy.User(name: $0.name, password: $0.password) },
            selfProving: monitor.secret == nil ? [] : ["monitor"])
    }

    private static func file(_ path: String, _ key: String) throws(SettingsError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw SettingsError(message: "`\(key)` names a file that cannot be read: \(path)")
        }
        return String(decoding: data, as: UTF8.self)
    }
}
