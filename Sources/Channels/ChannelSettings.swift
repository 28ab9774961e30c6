/// The bounds of event channels over HTTP.
package struct ChannelSettings: Sendable {
    /// Bytes of a body that is published.
    package var bodyBytes: Int
    /// CloudEvents in one batch.
    package var batch: Int
    /// How long a publish waits for the broker's confirm before it answers 503.
    package var confirmLimit: Duration
    /// How often a comment goes out on an event stream without events.
    package var keepAlive: Duration
    /// The longest that a pull may wait.
    package var longestWait: Duration
    /// What a lease is when none is asked for, and the longest that may be asked for.
    package var lease: Duration
    package var longestLease: Duration
    /// Deliveries in one pull.
    package var pull: Int
    /// Deliveries that the members of one group may have in hand, each, through this server.
    package var inHand: Int
    /// A group's subscription ends when nobody has pulled for this long and nothing is leased; after 5 s at a broker that pushes.
    package var idle: Duration
    /// Groups and members that pull at a time; one more is answered 429.
    package var members: Int
    /// Event streams at a time, of all destinations and of one; one more is answered 429.
    package var streams: Int
    package var streamsPerDestination: Int
    package var push: PushSettings

    package init(
        bodyBytes: Int = 16 << 20, batch: Int = 1000, confirmLimit: Duration = .seconds(10), keepAlive: Duration = .seconds(15),
        longestWait: Duration = .seconds(60), lease: Duration = .seconds(30), longestLease: Duration = .seconds(12 * 3600),
        pull: Int = 1000, inHand: Int = 1000, idle: Duration = .seconds(60), members: Int = 10_000, streams: Int = 10_000,
        streamsPerDestination: Int = 10_000,
        push: PushSettings = PushSettings()
    ) {
        self.bodyBytes = bodyBytes
        self.batch = batch
        self.confirmLimit = confirmLimit
        self.keepAlive = keepAlive
        self.longestWait = longestWait
        self.lease = lease
        self.longestLease = longestLease
        self.pull = pull
        self.inHand = inHand
        self.idle = idle
        self.members = members
        self.streams = streams
        self.streamsPerDestination = streamsPerDestination
        self.push = push
    }
}

/// Durations as they stand in queries and bodies: a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
enum ChannelDuration {
    /// Nil for anything else, and for what is negative.
    static func read(_ text: String) -> Duration? {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        let unit = units.first { text.hasSuffix($0.0) }
        guard let number = Double(unit.map { String(text.dropLast($0.0.count)) } ?? text), number >= 0, number < 1e9 else { return nil }
        return .milliseconds(Int64((number * (unit?.1 ?? 1) * 1000).rounded(.up)))
    }
}
