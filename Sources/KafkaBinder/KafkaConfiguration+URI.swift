package import Streams

extension KafkaConfiguration {
    private static let options =
        "sasl, groups, partitions, replicas, create-topics, add-partitions, cooperative, compression, cafile, certfile, keyfile, verify"

    /// Reads `kafka://user:password@host:port,host2:port2`; `kafkas://` for TLS. The port is 9092 where none is named. A user means SASL.
    /// Options after `?`: `sasl` (`PLAIN`, the default; `SCRAM-SHA-256`, `SCRAM-SHA-512`), `groups` (`group` or `destination`, see
    /// `GroupNaming`), `partitions` (of topics that are created), `replicas`, `create-topics`, `add-partitions`, `cooperative` (`true` or
    /// `false`), `compression`, `cafile`, `certfile`, `keyfile`, `verify` (`true` or `false`). Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        let tls: Bool
        var rest: Substring
        if uri.hasPrefix("kafka://") {
            tls = false
            rest = uri.dropFirst(8)
        } else if uri.hasPrefix("kafkas://") {
            tls = true
            rest = uri.dropFirst(9)
        } else {
            throw BinderError(.invalid, "a Kafka URI starts with kafka:// or kafkas://")
        }
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        self.init(addresses: [], tls: tls ? TLS() : nil)
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw BinderError(.invalid, "the Kafka URI has a user without a password: write user:password@") }
            sasl = SASL(user: try Self.decoded(parts[0], "user"), password: try Self.decoded(parts[1], "password"))
            rest = rest[rest.index(after: at)...]
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        for text in rest.split(separator: ",") { addresses.append(try Self.address(text)) }
        guard !addresses.isEmpty else { throw BinderError(.invalid, "the Kafka URI names no broker: write kafka://host:9092") }
        for pair in query.split(separator: "&") { try apply(option: pair) }
    }

    private static func address(_ text: Substring) throws(BinderError) -> Address {
        var host = text
        var port = 9092
        let close = text.hasPrefix("[") ? text.firstIndex(of: "]") : nil
        if let colon = text.lastIndex(of: ":"), close.map({ colon > $0 }) ?? true {
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw BinderError(.invalid, "\(text) is no host and port (1 to 65535)")
            }
            port = number
            host = text[..<colon]
        }
        if close != nil { host = host.dropFirst().prefix { $0 != "]" } }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw BinderError(.invalid, "\(text) is no host and port")
        }
        return Address(host: String(host), port: port)
    }

    private mutating func apply(option pair: Substring) throws(BinderError) {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        let value = parts.count == 2 ? try Self.decoded(parts[1], name) : ""
        func flag() throws(BinderError) -> Bool {
            guard let flag = Bool(value) else { throw BinderError(.invalid, "\(name) of the Kafka URI is true or false") }
            return flag
        }
        func number(_ range: ClosedRange<Int>) throws(BinderError) -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw BinderError(.invalid, "\(name) of the Kafka URI is \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
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
        case "partitions": defaultPartitions = try number(1...10_000)
        case "replicas": replicationFactor = try number(1...100)
        case "create-topics": createsTopics = try flag()
        case "add-partitions": addsPartitions = try flag()
        case "cooperative": cooperative = try flag()
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
            default: tls?.verifiesPeer = try flag()
            }
        default: throw BinderError(.invalid, "a Kafka URI has no option \(name): \(Self.options)")
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
            else { throw BinderError(.invalid, "the \(what) of the Kafka URI has a % that is no escape") }
            bytes.append(number)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw BinderError(.invalid, "the \(what) of the Kafka URI is not UTF-8")
        }
        return decoded
    }
}
