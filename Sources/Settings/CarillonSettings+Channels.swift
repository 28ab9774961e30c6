extension CarillonSettings {
    /// Bounds of event channels over HTTP; what is nil is as the server has it by itself.
    package struct Channels: Sendable, Equatable {
        /// Bytes of an event that is published.
        package var maximumPayload: Int?
        /// CloudEvents in one batch.
        package var maximumBatch: Int?
        /// Event streams at a time, of all destinations and of one.
        package var streams: Int?
        package var streamsPerDestination: Int?
        /// Members of groups that pull at a time.
        package var members: Int?
        /// Deliveries in one pull, and the longest that it may wait.
        package var maximumPull: Int?
        package var longestWait: Duration?
        /// What a lease is when none is asked for, and the longest that may be asked for.
        package var lease: Duration?
        package var longestLease: Duration?
        package var push = Push()

        package init() {}
    }

    package struct Push: Sendable, Equatable {
        package var subscriptions: Int?
        package var maximumConcurrency: Int?
        package var longestTimeout: Duration?
        /// Whether events may be sent to private addresses; nil: where the server itself listens on loopback only.
        package var allowsPrivate: Bool?
        /// The hosts that events may be sent to; nil: any.
        package var hosts: [String]?
        /// What requests of subscriptions without a secret of their own are signed with.
        package var secret: String?

        package init() {}
    }

    static func channels(_ reader: inout SettingsReader) throws(SettingsError) -> Channels {
        var channels = Channels()
        channels.maximumPayload = try reader.number("channels.maximum-payload", in: 1...(1 << 30))
        channels.maximumBatch = try reader.number("channels.maximum-batch", in: 1...100_000)
        channels.streams = try reader.number("channels.streams", in: 0...1_000_000)
        channels.streamsPerDestination = try reader.number("channels.streams-per-destination", in: 0...1_000_000)
        channels.members = try reader.number("channels.members", in: 0...1_000_000)
        channels.maximumPull = try reader.number("channels.maximum-pull", in: 1...10_000)
        channels.longestWait = try reader.duration("channels.longest-wait")
        channels.lease = try time(&reader, "channels.lease")
        channels.longestLease = try time(&reader, "channels.longest-lease")
        if let lease = channels.lease, let longest = channels.longestLease, lease > longest {
            throw reader.wrong("channels.lease", "is longer than `channels.longest-lease`")
        }
        channels.push.subscriptions = try reader.number("channels.push.subscriptions", in: 0...100_000)
        channels.push.maximumConcurrency = try reader.number("channels.push.maximum-concurrency", in: 1...10_000)
        channels.push.longestTimeout = try time(&reader, "channels.push.longest-timeout")
        channels.push.allowsPrivate = try reader.flag("channels.push.allow-private")
        channels.push.hosts = reader.strings("channels.push.hosts")
        channels.push.secret = try reader.secret("channels.push.secret")
        return channels
    }

    private static func time(_ reader: inout SettingsReader, _ key: String) throws(SettingsError) -> Duration? {
        guard let duration = try reader.duration(key) else { return nil }
        guard duration > .zero else { throw reader.wrong(key, "must be longer than nothing") }
        return duration
    }
}
