import Crypto
package import Streams

extension RedisConfiguration {
    /// Reads `redis://[user:password@]host:port,host2:port2/database`; `rediss://` for TLS. Missing parts are no credentials, `localhost`, 6379
    /// (TLS: 6379 too), database 0; `redis://:password@host` is the user `default`. Options after `?`: `prefix`, `name`, `lease` and `retention`
    /// (seconds), `keep` (events), `replicas`, and with `rediss://`: `ca-file`, `cert-file`, `key-file`, `verify` (`full`, `chain`: not
    /// the host's name, `none`). Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        var parts = try BrokerURI(uri, scheme: "redis", of: "Redis")
        self.init(addresses: [], tls: parts.isTLS ? TLSOptions() : nil)
        if let credentials = try parts.takeCredentials() {
            password = credentials.password
            if !credentials.user.isEmpty { user = credentials.user }
            guard user == nil || password != nil else {
                throw BinderError(.invalid, "a Redis URI with a user needs a password: redis://user:password@host")
            }
        }
        if let path = parts.takePath() {
            guard let number = Int(path), (0...100_000).contains(number) else {
                throw BinderError(.invalid, "the path of a Redis URI is the number of a database, such as redis://host:6379/0")
            }
            database = number
        }
        addresses = try parts.addresses(orLocal: 6379)
        try parts.forEachOption { option throws(BinderError) in try apply(option) }
    }

    private mutating func apply(_ option: BrokerURI.Option) throws(BinderError) {
        let (name, value) = (option.name, option.value)
        switch name {
        case "prefix":
            guard !value.contains(where: { $0 == "{" || $0 == "}" }) else {
                throw BinderError(.invalid, "prefix of a Redis URI must hold no braces: they mark the part of a key that chooses its slot")
            }
            prefix = value
        case "name": clientName = value
        case "lease": lease = .seconds(try option.number(1...86_400))
        case "retention": retention = .seconds(try option.number(0...31_536_000))
        case "keep": kept = try option.number(0...1_000_000_000)
        case "replicas": replicas = try option.number(0...100)
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
        default: throw option.unknown("prefix, name, lease, retention, keep, replicas, ca-file, cert-file, key-file, verify")
        }
    }
}
