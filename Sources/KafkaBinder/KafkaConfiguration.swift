package import Streams

/// How the binder reaches its brokers, and the limits that it keeps.
///
/// librdkafka's own defaults hold for what is not named here, but for its buffers: a consumer of its may hold 64 MiB and 100,000 records.
package struct KafkaConfiguration: Sendable, Hashable {
    package typealias Address = BrokerURI.Address

    package struct TLS: Sendable, Hashable {
        /// PEM file of the authorities that may vouch for the brokers; nil: those of the system.
        package var authorities: String?
        /// PEM files of the client's own certificate and key, where the brokers ask for one.
        package var certificate: String?
        package var key: String?
        package var keyPassword: String?
        /// Off only for test brokers: then anybody can stand between.
        package var verifiesPeer = true
        package init() {}
    }

    package struct SASL: Sendable, Hashable {
        package enum Mechanism: String, Sendable, Hashable, CaseIterable {
            case plain = "PLAIN"
            case scramSHA256 = "SCRAM-SHA-256"
            case scramSHA512 = "SCRAM-SHA-512"
        }
        package var mechanism: Mechanism
        package var user: String
        package var password: String
        package init(mechanism: Mechanism = .plain, user: String, password: String) {
            self.mechanism = mechanism
            self.user = user
            self.password = password
        }
    }

    /// What Kafka's `group.id` of a group is.
    package enum GroupNaming: Sendable, Hashable {
        /// The group's name, as Spring has it: instances of Spring applications share the work. Each subscription that comes or goes
        /// interrupts all others of that name for a moment, whatever their destination.
        case group
        /// `<destination>.<group>`: destinations do not disturb each other.
        case destination
    }

    package enum Uncommitted: String, Sendable, Hashable {
        /// All that there is.
        case earliest
        /// Nothing: members begin at the end.
        case latest
    }

    /// Known at start; the rest of the cluster is found through them.
    package var addresses: [Address]
    /// Nil: plain TCP.
    package var tls: TLS?
    /// Nil: nobody asks who we are.
    package var sasl: SASL?
    /// Shown in the brokers' logs and quotas.
    package var clientID = "carillon"
    package var groupNaming = GroupNaming.group
    /// Whether topics that are missing are created, dead-letter topics too.
    package var createsTopics = true
    /// Whether a topic with fewer partitions than `partitions` asks for gets more.
    package var addsPartitions = false
    /// Destinations of several partitions: the event's key chooses one as Spring's default selector does. Events need a key there.
    package var partitions: [String: Int] = [:]
    /// How many partitions a topic gets that is created and not listed above. Members of a group beyond that number stand by.
    package var defaultPartitions = 1
    /// -1: the brokers' default.
    package var replicationFactor = -1
    /// Whether members keep the partitions that stay theirs when others come or go. Off: librdkafka 2.0.2 may lose its assignment by a commit
    /// in such a moment, and hang when it closes.
    package var cooperative = false
    /// How long a publish may take until its confirm.
    package var publishLimit: Duration = .seconds(30)
    /// How long deliveries in hand may take to be settled after shutdown was asked for.
    package var drainLimit: Duration = .seconds(20)
    /// How long deliveries in hand may take to be settled before a partition is handed over to another member. All members of the group
    /// wait meanwhile. What is settled later is handed out again.
    package var handOverLimit: Duration = .seconds(30)
    /// How much is accepted, at most, before the broker is told: after a crash that much is handed out again.
    package var commitInterval: Duration = .milliseconds(100)
    /// How long an answer of a broker may take. A silent broker is taken for gone after this time.
    package var requestLimit: Duration = .seconds(10)
    package var sessionLimit: Duration = .seconds(30)
    package var heartbeat: Duration = .seconds(1)
    /// How often new partitions and topics are looked for.
    package var metadataInterval: Duration = .seconds(10)
    /// Pause before the second attempt to connect; doubles up to `longestBackOff`, each with jitter.
    package var backOff: Duration = .milliseconds(250)
    package var longestBackOff: Duration = .seconds(10)
    /// How long a record waits for others to share a request with.
    package var linger: Duration = .zero
    /// What counts as backlog in a partition in which a group has committed nothing. Members of ours begin with the earliest; those of other makes
    /// do as their `auto.offset.reset` says.
    package var uncommitted = Uncommitted.earliest
    /// none, gzip, snappy, lz4 or zstd.
    package var compression = "none"
    /// How many publishes, and how many bytes of them, may wait for their confirm at once; those beyond wait for their turn.
    package var inFlight = 10_000
    package var sendBuffer = 64 << 20
    /// How many publishes may wait for their turn; those beyond fail with `.blocked`.
    package var waiting = 50_000
    /// A payload over this many bytes is `.tooLarge`; a broker's default limit is 1 MiB for a batch.
    package var largestPayload = 1_000_000
    /// Bytes of records that a subscription may have fetched ahead of its prefetch. A bound, reached only by a group that is behind: librdkafka 2.0.2
    /// then fetches nothing for a whole second, so that the buffer has to last for one.
    package var fetchBuffer = 64 << 20
    /// How many deliveries of a subscription may wait for a delayed retry. With more, it reads on when one of them is done.
    package var heldLimit = 1000
    /// Whether the oldest form of headers, inside the payload, is read where a record has no others.
    package var readsEmbeddedHeaders = true
    /// Where connections lead instead of the brokers' own addresses; nil: to those.
    package var route: KafkaRoute?
    /// Further settings of librdkafka, as its CONFIGURATION.md names them.
    package var properties: [String: String] = [:]

    package init(addresses: [Address], tls: TLS? = nil, sasl: SASL? = nil) {
        self.addresses = addresses
        self.tls = tls
        self.sasl = sasl
    }
}
