package import ConfigModel
package import ConfigRepositories

/// A repository's uri, with placeholders or without.
package struct GitURI: Sendable, Hashable {
    private static let schemes = ["https", "http", "ssh", "git", "file"]
    private static let placeholders = ["{application}", "{profile}", "{label}"]

    /// As configured, without trailing slashes, and without credentials: property sources are named by it.
    package let shown: String
    /// With credentials, for connecting.
    package let connecting: String
    /// The folder of a repository on this machine; nil for a remote.
    package let path: String?

    /// Throws `.invalid` for a scheme that is not spoken, and for a placeholder outside the path.
    package init(_ text: String) throws(ConfigError) {
        var text = text
        while text.hasSuffix("/"), text.utf8.count > 1 { text.removeLast() }
        guard !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw ConfigError(.invalid, "the uri of a Git repository is empty or has control characters")
        }
        if let (scheme, rest) = Self.split(text) {
            guard Self.schemes.contains(scheme) else {
                throw ConfigError(
                    .invalid, "scheme \(scheme): is not supported for a Git repository; possible: \(Self.schemes.joined(separator: ", "))")
            }
            if scheme == "file" {
                let path = rest.hasPrefix("//") ? rest.dropFirst(2).drop { $0 != "/" } : rest[...]
                guard path.hasPrefix("/") else { throw ConfigError(.invalid, "\(text) has no absolute path; write file:///folder") }
                (shown, connecting, self.path) = (text, text, String(path))
                return
            }
            guard rest.hasPrefix("//") else {
                throw ConfigError(.invalid, "a Git uri of scheme \(scheme) is written \(scheme)://host/path")
            }
            let authority = rest.dropFirst(2).prefix { $0 != "/" }
            guard !authority.isEmpty, !authority.contains(where: { $0 == "{" || $0 == "}" }) else {
                throw ConfigError(.invalid, "the host of a Git uri must be there and cannot have placeholders")
            }
            var visible = authority[...]
            if let at = authority.lastIndex(of: "@") {
                let user = authority[..<at].prefix { $0 != ":" }
                // What stands before the @ of an https address is a secret as often as a name.
                visible = scheme == "ssh" ? user + authority[at...] : authority[authority.index(after: at)...]
            }
            shown = "\(scheme)://\(visible)\(rest.dropFirst(2 + authority.count))"
            (connecting, path) = (text, nil)
        } else if !text.hasPrefix("/"), !text.hasPrefix("."), let colon = text.firstIndex(of: ":") {
            let (host, place) = (text[..<colon], text[text.index(after: colon)...])
            guard !host.contains(where: { "{}/ ".contains($0) }), !host.hasPrefix("-"), !place.isEmpty, !place.hasPrefix(":") else {
                throw ConfigError(.invalid, "the host of a Git uri must be there and cannot have placeholders")
            }
            (shown, connecting, path) = (text, text, nil)
        } else {
            (shown, connecting, path) = (text, text, text)
        }
    }

    /// The port of an ssh server; nil for everything else.
    var sshPort: UInt16? {
        guard path == nil else { return nil }
        guard let (scheme, rest) = Self.split(connecting) else { return 22 }
        guard scheme == "ssh" else { return nil }
        let authority = rest.dropFirst(2).prefix { $0 != "/" }
        guard let colon = authority.lastIndex(of: ":"), let port = UInt16(authority[authority.index(after: colon)...]) else { return 22 }
        return port
    }

    package var hasPlaceholders: Bool { Self.placeholders.contains { connecting.contains($0) } }

    /// The uri for one audience. Throws `.notFound` where a value cannot be part of a path, so that no name leads out of where the uri points.
    package func expanded(for audience: Audience, label: String) throws(ConfigError) -> GitURI {
        guard hasPlaceholders else { return self }
        var text = connecting
        for (placeholder, values) in zip(Self.placeholders, [audience.applications, audience.profiles, [label]])
        where text.contains(placeholder) {
            guard values.count == 1, let value = values.first, Self.isPlain(value) else {
                throw ConfigError(
                    .notFound, "there is no repository for \(placeholder.dropFirst().dropLast()) \(values.joined(separator: ","))")
            }
            text = text.split(separator: placeholder, omittingEmptySubsequences: false).joined(separator: value)
        }
        return try GitURI(text)
    }

    private static func isPlain(_ value: String) -> Bool {
        guard (1...200).contains(value.utf8.count) else { return false }
        let parts = value.split(separator: "/", omittingEmptySubsequences: false)
        return parts.allSatisfy { part in
            guard let first = part.utf8.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "."), part != ".." else { return false }
            return part.utf8.allSatisfy { byte in
                switch byte {
                case 48...57, 65...90, 97...122: true
                default: "-_.+".utf8.contains(byte)
                }
            }
        }
    }

    private static func split(_ text: String) -> (scheme: String, rest: String)? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let scheme = text[..<colon].lowercased()
        let rest = String(text[text.index(after: colon)...])
        guard scheme == "file" || rest.hasPrefix("//") else { return nil }
        return (scheme, rest)
    }
}
