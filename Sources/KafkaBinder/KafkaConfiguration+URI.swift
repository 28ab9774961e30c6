package import Streams

extension KafkaConfiguration {
    private static let options =
        "sasl, groups, partitions, replicas, create-topics, add-partitions, cooperative, compression, uncommitted, cafile, certfile, "
        + "keyfile, verify"

    /// Reads `kafka://user:password@host:port,host2:port2`; `kafkas://` for TLS. The port is 9092 where none is named. A user means SASL.
    /// Options after `?`: `sasl` (`PLAIN`, the default; `SCRAM-SHA-256`, `SCRAM-SHA-512`), `groups` (`group` or `destination`, see
    /// `GroupNaming`), `partitions` (of topics that are created), `replicas`, `create-topics`, `add-partitions`, `cooperative` (`true` or
    /// `false`), `compression`, `uncommitted` (`earliest` or `latest`), `cafile`, `certfile`, `keyfile`, `verify` (`true` or `false`).
    /// Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        var parts = try BrokerURI(uri, scheme: "kafka", of: "Kafka")
        self.init(addresses: [], tls: parts.isTLS ? TLS() : nil)
        if let (user, password) = try parts.takeCredentials() {
            guard let password else { throw BinderError(.invalid, "the Kafka URI has a user without a password: write user:password@") }
            sasl = SASL(user: user, password: password)
        }
        if let path = parts.takePath() { throw BinderError(.invalid, "a Kafka URI has no path: \(path)") }
        addresses = try parts.addresses(port: 9092)
        guard !addresses.isEmpty else { throw BinderError(.invalid, "the Kafka URI names no broker: write kafka://host:9092") }
        for address in addresses {
            guard !address.host.isEmpty, address.host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw BinderError(.invalid, "\(address) is no host and port")
            }
        }
        try parts.forEachOption { option throws(BinderError) in try apply(option) }
    }

    private mutating func apply(_ option: BrokerURI.Option) throws(BinderError) {
        let (name, value) = (option.name, option.value)
        switch name {
        case "sasl":
            guard let mechanism = SASL.Mechanism(rawValue: value.uppercased()) else {
                throw BinderError(.invalid, "sasl is one of \(SASL.Mechanism.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            guard sasl != nil else { throw BinderError(.invalid, "sasl needs a user: kafka://user:password@host") }
            sasl?.mechanism = mechanism
        case "groups":
            switch value {
            case "group": groupNaming = .group
            case "destination": groupNaming = .destination
            default: throw BinderError(.invalid, "groups of the Kafka URI is group or destination")
            }
        case "partitions": defaultPartitions = try option.number(1...10_000)
        case "replicas": replicationFactor = try option.number(1...100)
        case "create-topics": createsTopics = try option.flag()
        case "add-partitions": addsPartitions = try option.flag()
        case "cooperative": cooperative = try option.flag()
        case "uncommitted":
            guard let policy = Uncommitted(rawValue: value) else { throw BinderError(.invalid, "uncommitted is earliest or latest") }
            uncommitted = policy
        case "compression":
            guard ["none", "gzip", "snappy", "lz4", "zstd"].contains(value) else {
                throw BinderError(.invalid, "compression is none, gzip, snappy, lz4 or zstd")
            }
            compression = value
        case "cafile", "certfile", "keyfile", "verify":
            guard tls != nil else { throw BinderError(.invalid, "\(name) needs kafkas://") }
            switch name {
            case "cafile": tls?.authorities = value
            case "certfile": tls?.certificate = value
            case "keyfile": tls?.key = value
            default: tls?.verifiesPeer = try option.flag()
            }
        default: throw option.unknown(Self.options)
        }
    }
}
