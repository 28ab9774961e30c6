/// A number from outside. Unknown is not zero: no answer, an error, a negative number or one that is none is nil.
package struct Reading: Sendable, Hashable, Codable {
    package var value: Double?
    /// How old the number is.
    package var age: Seconds

    package init(_ value: Double?, age: Seconds = 0) {
        self.value = value.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        self.age = self.value != nil && age.isFinite ? max(0, age) : 0
    }

    package static let unknown = Reading(nil)
}

/// How many instances there are, as the orchestrator says.
package struct InstanceCount: Sendable, Hashable, Codable {
    /// Those ordered, whatever became of them.
    package var desired: Int
    package var ready: Int
    package var starting: Int

    package init(desired: Int, ready: Int, starting: Int) {
        self.desired = max(0, desired)
        self.ready = max(0, ready)
        self.starting = max(0, starting)
    }
}

/// What a source says of one queue.
package struct QueueReading: Sendable, Hashable, Codable {
    /// Waiting and in hand.
    package var backlog: Reading
    /// All that ever came; counts up. Unknown for ever where the source does not count.
    package var published: Reading
    /// All that was ever done; counts up.
    package var acknowledged: Reading
    /// How long the oldest message has waited.
    package var oldest: Reading
    /// How many instances can work on the queue at once; unknown where there is no such bound.
    package var partitions: Reading

    package init(
        backlog: Reading, published: Reading = .unknown, acknowledged: Reading = .unknown, oldest: Reading = .unknown,
        partitions: Reading = .unknown
    ) {
        self.backlog = backlog
        self.published = published
        self.acknowledged = acknowledged
        self.oldest = oldest
        self.partitions = partitions
    }

    package static let unknown = QueueReading(backlog: .unknown)
}

/// All that one decision is made from. The law reads no clock and asks nobody.
package struct Observation: Sendable, Hashable, Codable {
    /// The end of the year 9999: calendars need a bound.
    package static let latest: Seconds = 253_402_300_799

    /// The wall clock, seconds since 1970: windows and deadlines go by it.
    package var time: Seconds
    /// The monotonic clock since the last observation: durations go by it. 0 for the first, and for the same one once more.
    package var elapsed: Seconds
    /// Nil when the orchestrator does not answer.
    package var current: InstanceCount?
    /// One for each queue condition of the policy.
    package var queues: [QueueReading]
    package var resources: [String: Reading]
    package var parameters: [String: Reading]
    /// What stands above all conditions.
    package var standing: Standing?

    package init(
        time: Seconds, elapsed: Seconds, current: InstanceCount?, queues: [QueueReading] = [], resources: [String: Reading] = [:],
        parameters: [String: Reading] = [:], standing: Standing? = nil
    ) {
        self.time = time.isFinite ? min(max(0, time), Self.latest) : 0
        self.elapsed = elapsed.isFinite ? min(max(0, elapsed), Self.latest) : 0
        self.current = current
        self.queues = queues
        self.resources = resources
        self.parameters = parameters
        self.standing = standing
    }
}
