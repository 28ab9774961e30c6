package import Streams

/// How the binder reaches its broker, and the limits that it keeps.
package struct RabbitMQConfiguration: Sendable, Hashable {
    package typealias Address = BrokerURI.Address

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
    /// Where backlogs are asked for.
    package var management = ManagementChoice.standard
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
    /// (`verify_peer` or `verify_none`), `mandatory` (`true`), `management` (the URL of the management API, or `none`), and for the queues
    /// of all groups RabbitMQ's arguments without `x-`: `message-ttl`, `expires` (milliseconds), `max-length`, `max-length-bytes`,
    /// `max-priority`, `overflow`, `queue-mode`,
    /// `single-active-consumer`, `queue-type`, `delivery-limit`. Throws `.invalid`, never showing the password.
    package init(uri: String) throws(BinderError) {
        var parts = try BrokerURI(uri, scheme: "amqp", of: "RabbitMQ")
        self.init(addresses: [], tls: parts.isTLS ? TLS() : nil)
        if let path = parts.takePath() { virtualHost = try parts.decoded(path, "virtual host") }
        if let credentials = try parts.takeCredentials() {
            user = credentials.user
            if let given = credentials.password { password = given }
        }
        addresses = try parts.addresses(orLocal: parts.isTLS ? 5671 : 5672)
        try parts.forEachOption { option throws(BinderError) in try apply(option) }
    }

    private mutating func apply(_ option: BrokerURI.Option) throws(BinderError) {
        let (name, value) = (option.name, option.value)
        switch name {
        case "heartbeat":
            guard let seconds = Int(value), (1...3600).contains(seconds) else {
                throw BinderError(.invalid, "heartbeat is 1 to 3600 seconds")
            }
            heartbeat = .seconds(seconds)
        case "prefix": prefix = value
        case "name": connectionName = value
        case "mandatory": mandatory = value == "true"
        case "management": management = try ManagementChoice(option: value)
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
            throw option.unknown(
                """
                heartbeat, prefix, name, mandatory, management, cacertfile, certfile, keyfile, verify, message-ttl, expires, max-length, \
                max-length-bytes, max-priority, overflow, queue-mode, single-active-consumer, queue-type, delivery-limit
                """)
        }
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
