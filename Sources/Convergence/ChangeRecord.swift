package import Bus
package import Telemetry

/// One change and who has answered it.
package struct ChangeRecord: Sendable {
    package enum Kind: String, Sendable, Hashable {
        /// Configuration was read again.
        case refresh
        /// Properties were set over the bus.
        case environment
    }

    /// Id of its first event.
    package var id: String
    package var kind: Kind
    package var version: String?
    package var label: String?
    package var commit: RefreshDetails.Commit
    /// Bus id of who published it.
    package var origin: String
    /// The destinations of its events.
    package var destinations: [String]
    /// When it was published, as seen here.
    package var time: Timestamp
    package var lastEvent: Timestamp
    package var events: Set<String>
    /// Names of changed properties; `keyCount` of them, if more than are listed.
    package private(set) var keys: [String] = []
    package private(set) var keyCount = 0
    /// By bus id.
    package var answers: [String: Answer] = [:]

    init(
        id: String, kind: Kind, version: String?, label: String?, commit: RefreshDetails.Commit, origin: String, destinations: [String],
        time: Timestamp
    ) {
        self.id = id
        self.kind = kind
        self.version = version
        self.label = label
        self.commit = commit
        self.origin = origin
        self.destinations = destinations
        self.time = time
        lastEvent = time
        events = [id]
    }

    /// Keys of one more event. How many they are together cannot be told where lists were cut; then it is at least the longest of them.
    mutating func add(keys more: [String], count: Int) {
        let known = Set(keys)
        keys += more.filter { !known.contains($0) }.prefix(max(0, 1000 - keys.count))
        keyCount = max(keyCount, count, keys.count)
    }
}

/// What an instance answered to a change.
package struct Answer: Sendable, Hashable {
    /// Nil: an acknowledgement of Spring, which only says that the event was received.
    package var outcome: Receipt.Outcome?
    package var running: RunningConfiguration
    package var time: Timestamp
    package var error: String?

    init(receipt: Receipt?, at now: Timestamp) {
        outcome = receipt?.outcome
        running = receipt?.running ?? RunningConfiguration()
        time = receipt?.time ?? now
        error = receipt?.error
    }
}

/// What is known of an instance.
package struct InstanceRecord: Sendable, Hashable {
    /// Its bus id.
    package var id: String
    package var application: String
    package var profiles: [String]
    package var running = RunningConfiguration()
    /// Of its latest receipt; nil where it only acknowledges.
    package var outcome: Receipt.Outcome?
    package var error: String?
    /// Of its latest receipt or acknowledgement.
    package var time: Timestamp
    /// When anything was heard of it, by the clock here.
    package var heard: Timestamp
    /// Whether it sends receipts.
    package var isCarillon = false

    init(id: String, heard: Timestamp) {
        self.id = id
        let parts = try? BusID(id)
        application = parts?.application ?? id
        profiles = parts?.profiles ?? []
        time = heard
        self.heard = heard
    }
}
