package import Crypto
package import Streams

/// How the binder reaches its server, and the limits that it keeps.
package struct RedisConfiguration: Sendable, Hashable {
    package typealias Address = BrokerURI.Address

    /// Tried in turn until one answers.
    package var addresses: [Address]
    /// Nil: the user `default`.
    package var user: String?
    /// Nil: the server asks for none.
    package var password: String?
    package var database: Int
    /// Nil: plain TCP.
    package var tls: TLSOptions?
    /// Set in front of every key.
    package var prefix = "carillon:"
    /// Shown in the server's list of clients, and in front of the names of group members.
    package var clientName = "carillon"
    /// For the way from `connect` to the first answer.
    package var connectLimit: Duration = .seconds(10)
    /// A server that owes an answer for longer is taken for gone.
    package var replyLimit: Duration = .seconds(10)
    /// From the call of `publish` to the server's answer.
    package var publishLimit: Duration = .seconds(30)
    /// How long deliveries in hand may take to be settled after shutdown was asked for.
    package var drainLimit: Duration = .seconds(20)
    /// Pause before the second attempt to connect; doubles up to `longestBackOff`, each with jitter.
    package var backOff: Duration = .milliseconds(250)
    package var longestBackOff: Duration = .seconds(10)
    /// Pause after the server refused the credentials.
    package var refusedBackOff: Duration = .seconds(5)
    /// A member that has not been heard of for this long is dead: what it had in hand goes to the others. Living members are heard of every
    /// second, however slow their handlers are.
    package var lease: Duration = .seconds(15)
    /// Events that every group has done are kept for this long, for broadcast subscriptions that were away.
    package var retention: Duration = .seconds(3600)
    /// About how many events of one destination are kept that every group has done, however young.
    package var kept = 100_000
    /// How many replicas must have an event before it is confirmed (`WAIT`); 0: the server that was asked.
    package var replicas = 0
    /// How many publishes may wait for their answer at once; those beyond wait for their turn.
    package var inFlight = 2000
    /// How many publishes may wait for their turn; those beyond fail with `.blocked`.
    package var waiting = 50_000
    /// A payload over this many bytes is `.tooLarge`; Redis refuses more than 512 MiB (`proto-max-bulk-len`) and drops the connection.
    package var largestPayload = 134_217_728
    /// Destinations of several partitions: a stream each, chosen by the event's key.
    package var partitions: [String: Int] = [:]

    package init(
        addresses: [Address], user: String? = nil, password: String? = nil, database: Int = 0, tls: TLSOptions? = nil
    ) {
        self.addresses = addresses
        self.user = user
        self.password = password
        self.database = database
        self.tls = tls
    }

    /// How many partitions the destination has; nil: it is not partitioned.
    func partitions(of destination: Destination) -> Int? { partitions[destination.name].map { max(1, $0) } }
}
