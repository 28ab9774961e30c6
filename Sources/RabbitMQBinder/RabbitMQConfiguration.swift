package import Streams

/// How the binder reaches its broker, and the limits that it keeps.
package struct RabbitMQConfiguration: Sendable, Hashable {
    package struct Address: Sendable, Hashable, CustomStringConvertible {
        package var host: String
        package var port: Int
        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    package struct TLS: Sendable, Hashable {
        /// PEM file of the authorities that may vouch for the broker.
        package var authorities: String
        /// PEM files of the client's own certificate and key, where the broker asks for one.
        package var certificate: String?
        package var key: String?
        /// Off only for test brokers: then anybody can stand between.
        package var verifiesPeer: Bool
        /// Whether the certificate must name the host that was dialled.
        package var verifiesHost: Bool

        package init(
            authorities: String = "/etc/ssl/certs/ca-certificates.crt", certificate: String? = nil, key: String? = nil,
            verifiesPeer: Bool = true, verifiesHost: Bool = true
        ) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
            self.verifiesPeer = verifiesPeer
            self.verifiesHost = verifiesHost
        }
    }

    /// Tried in turn until one answers.
    package var addresses: [Address]
    package var user: String
    package var password: String
    package var virtualHost: String
    /// Nil: plain TCP.
    package var tls: TLS?
    /// Set in front of every exchange, queue and dead-letter name, as Spring's `prefix`.
    package var prefix = ""
    /// Shown in the broker's list of connections.
    package var connectionName = "carillon"
    /// Whole seconds. A peer that is silent for twice as long is taken for gone.
    package var heartbeat: Duration = .seconds(30)
    /// For the way from `connect` to an open channel, and for each call that waits for the broker's answer.
    package var connectLimit: Duration = .seconds(10)
    /// From the call of `publish` to the broker's confirm.
    package var publishLimit: Duration = .seconds(30)
    /// How long deliveries in hand may take to be settled after shutdown was asked for.
    package var drainLimit: Duration = .seconds(20)
    /// Pause before the second attempt to connect; doubles up to `longestBackOff`, each with jitter.
    package var backOff: Duration = .milliseconds(250)
    package var longestBackOff: Duration = .seconds(10)
    /// Pause after the broker refused the credentials.
    package var refusedBackOff: Duration = .seconds(5)
    /// How many publishes may wait for their confirm at once; those beyond wait for their turn.
    package var inFlight = 2000
    /// How many publishes may wait for their turn; those beyond fail with `.blocked`.
    package var waiting = 50_000
    /// A payload over this many bytes is `.tooLarge`; RabbitMQ 3.8 and later refuse more than 128 MiB.
    package var largestPayload = 134_217_728
    /// Whether an event that reaches no queue is an error (`.unroutable`).
    package var mandatory = false
    /// Destinations of several partitions: the event's key chooses the routing key `<destination>-<n>`.
    package var partitions: [String: Int] = [:]
    /// How exchanges and queues are declared where `queues` says nothing else.
    package var queueDefaults = RabbitMQQueueOptions()
    /// The same for single destinations, by name.
    package var queues: [String: RabbitMQQueueOptions] = [:]
    /// A body that a peer has compressed may grow to this many bytes, and beyond the first MiB to this many for each byte that came; one
    /// that grows further is handed on as it came.
    package var largestInflated = 134_217_728
    package var inflationRatio = 200

    package init(addresses: [Address], user: String = "guest", password: String = "guest", virtualHost: String = "/", tls: TLS? = nil) {
        self.addresses = addresses
        self.user = user
        self.password = password
        self.virtualHost = virtualHost
        self.tls = tls
    }

    func queueOptions(of destination: Destination) -> RabbitMQQueueOptions {
        queues.isEmpty ? queueDefaults : queues[destination.name] ?? queueDefaults
    }

    func exchange(of destination: Destination) -> String { prefix.isEmpty ? destination.name : prefix + destination.name }

    /// Reads `amqp://user:password@host:port,host2:port2/vhost`; `amqps://` for TLS. Missing parts are `guest`, `guest`, `localhost`, 5672
    /// (5671), `/`. Options after `?`: `heartbeat` (seconds), `prefix`, `name`, `cacertfile`, `certfile`, `keyfile`, `verify`
    /// (`verify_peer` or `verify_none`), `mandatory` (`true`), and for the queues of all groups RabbitMQ's arguments without `x-`:
    /// `message-ttl`, `expires` (milliseconds), `max-length`, `max-length-bytes`, `max-priority`, `overflow`, `queue-mode`,
    /// `single-active-consumer`, `queue-type`, `delivery-limit`. Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        let tls: Bool
        var rest: Substring
        if uri.hasPrefix("amqp://") {
            tls = false
            rest = uri.dropFirst(7)
        } else if uri.hasPrefix("amqps://") {
            tls = true
            rest = uri.dropFirst(8)
        } else {
            throw BinderError(.invalid, "a RabbitMQ URI starts with amqp:// or amqps://")
        }
        var query: Substring = ""
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        self.init(addresses: [], tls: tls ? TLS() : nil)
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[rest.index(after: slash)...]
            rest = rest[..<slash]
            if !path.isEmpty { virtualHost = try Self.decoded(path, "virtual host") }
        }
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = try Self.decoded(parts[0], "user")
            if parts.count == 2 { password = try Self.decoded(parts[1], "password") }
            rest = rest[rest.index(after: at)...]
        }
        for text in rest.split(separator: ",") { addresses.append(try Self.address(text, standard: tls ? 5671 : 5672)) }
        if addresses.isEmpty { addresses = [Address(host: "localhost", port: tls ? 5671 : 5672)] }
        for pair in query.split(separator: "&") { try apply(option: pair) }
    }

    private static func address(_ text: Substring, standard: Int) throws(BinderError) -> Address {
        var host = text
        var port = standard
        let close = text.hasPrefix("[") ? text.firstIndex(of: "]") : nil
        if let colon = text.lastIndex(of: ":"), close == nil || colon > close! {
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
        switch name {
        case "heartbeat":
            guard let seconds = Int(value), (1...3600).contains(seconds) else {
                throw BinderError(.invalid, "heartbeat is 1 to 3600 seconds")
            }
            heartbeat = .seconds(seconds)
        case "prefix": prefix = value
        case "name": connectionName = value
        case "mandatory": mandatory = value == "true"
        case "cacertfile", "certfile", "keyfile", "verify":
            guard tls != nil else { throw BinderError(.invalid, "\(name) needs amqps://") }
            switch name {
            case "cacertfile": tls?.authorities = value
            case "certfile": tls?.certificate = value
            case "keyfile": tls?.key = value
            default:
                tls?.verifiesPeer = value != "verify_none"
                tls?.verifiesHost = value != "verify_none"
            }
        default:
            if try queueDefaults.limits.set(name, value) { return }
            throw BinderError(
                .invalid,
                """
                a RabbitMQ URI has no option \(name): heartbeat, prefix, name, mandatory, cacertfile, certfile, keyfile, verify, message-ttl, \
                expires, max-length, max-length-bytes, max-priority, overflow, queue-mode, single-active-consumer, queue-type, delivery-limit
                """)
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
            else { throw BinderError(.invalid, "the \(what) of the RabbitMQ URI has a % that is no escape") }
            bytes.append(number)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw BinderError(.invalid, "the \(what) of the RabbitMQ URI is not UTF-8")
        }
        return decoded
    }
}

extension Duration {
    /// Whole nanoseconds, never negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return seconds < 0 ? 0 : UInt64(seconds) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
    }

    var milliseconds: Int { Int(nanoseconds / 1_000_000) }
}
