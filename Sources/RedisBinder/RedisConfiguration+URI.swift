import Crypto
package import Streams

extension RedisConfiguration {
    /// Reads `redis://[user:password@]host:port,host2:port2/database`; `rediss://` for TLS. Missing parts are no credentials, `localhost`, 6379
    /// (TLS: 6379 too), database 0; `redis://:password@host` is the user `default`. Options after `?`: `prefix`, `name`, `lease` and `retention`
    /// (seconds), `keep` (events), `replicas`, and with `rediss://`: `ca-file`, `cert-file`, `key-file`, `verify` (`full`, `chain`: not
    /// the host's name, `none`). Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        let isTLS = uri.hasPrefix("rediss://")
        guard isTLS || uri.hasPrefix("redis://") else {
            throw BinderError(.invalid, "a Redis URI starts with redis:// or rediss://")
        }
        var rest = uri.dropFirst(isTLS ? 9 : 8)
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        self.init(addresses: [], tls: isTLS ? TLSOptions() : nil)
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Self.decoded(parts[0], "user")
            if parts.count == 2 { password = try Self.decoded(parts[1], "password") }
            if !name.isEmpty { user = name }
            guard user == nil || password != nil else {
                throw BinderError(.invalid, "a Redis URI with a user needs a password: redis://user:password@host")
            }
            rest = rest[rest.index(after: at)...]
        }
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[rest.index(after: slash)...]
            rest = rest[..<slash]
            if !path.isEmpty {
                guard let number = Int(path), (0...100_000).contains(number) else {
                    throw BinderError(.invalid, "the path of a Redis URI is the number of a database, such as redis://host:6379/0")
                }
                database = number
            }
        }
        for text in rest.split(separator: ",") { addresses.append(try Self.address(text)) }
        if addresses.isEmpty { addresses = [Address(host: "localhost", port: 6379)] }
        for pair in query.split(separator: "&") { try apply(option: pair) }
    }

    private static func address(_ text: Substring) throws(BinderError) -> Address {
        var host = text
        var port = 6379
        let close = text.hasPrefix("[") ? text.firstIndex(of: "]") : nil
        if let colon = text.lastIndex(of: ":"), close.map({ colon > $0 }) ?? true {
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw BinderError(.invalid, "\(text) is no host and port (1 to 65535)")
            }
            port = number
            host = text[..<colon]
        }
        if close != nil { host = host.dropFirst().prefix { $0 != "]" } }
        return Address(host: host.isEmpty ? "localhost" : String(host), port: port)
    }

    private mutating func apply(option pair: Substring) throws(BinderError) {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        let value = parts.count == 2 ? try Self.decoded(parts[1], name) : ""
        func number(_ range: ClosedRange<Int>) throws(BinderError) -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw BinderError(.invalid, "\(name) of a Redis URI is a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        switch name {
        case "prefix":
            guard !value.contains(where: { $0 == "{" || $0 == "}" }) else {
                throw BinderError(.invalid, "prefix of a Redis URI must hold no braces: they mark the part of a key that chooses its slot")
            }
            prefix = value
        case "name": clientName = value
        case "lease": lease = .seconds(try number(1...86_400))
        case "retention": retention = .seconds(try number(0...31_536_000))
        case "keep": kept = try number(0...1_000_000_000)
        case "replicas": replicas = try number(0...100)
        case "ca-file", "cert-file", "key-file", "verify":
            guard tls != nil else { throw BinderError(.invalid, "\(name) needs rediss://") }
            switch name {
            case "ca-file": tls?.authorityFile = value
            case "cert-file": tls?.certificateFile = value
            case "key-file": tls?.keyFile = value
            default:
                guard ["full", "chain", "none"].contains(value) else {
                    throw BinderError(.invalid, "verify of a Redis URI is full, chain or none")
                }
                tls?.verifiesPeer = value != "none"
                tls?.verifiesHost = value == "full"
            }
        default:
            throw BinderError(
                .invalid,
                "a Redis URI has no option \(name): prefix, name, lease, retention, keep, replicas, ca-file, cert-file, key-file, verify")
        }
    }

    private static func decoded(_ text: Substring, _ what: String) throws(BinderError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let number = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16), number != 0
            else { throw BinderError(.invalid, "the \(what) of the Redis URI has a % that is no escape") }
            bytes.append(number)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw BinderError(.invalid, "the \(what) of the Redis URI is not UTF-8")
        }
        return decoded
    }
}
