/// The bounds of the embedded broker, and what happens at each.
package struct LocalLimits: Sendable, Hashable {
    /// How many events of a destination are kept for replay and slow broadcast subscriptions when no group needs them; the oldest go first. A
    /// broadcast subscription that has not read them is told `.gap`.
    package var historyEvents: Int
    /// The same in bytes of payloads and headers.
    package var historyBytes: Int
    /// How many events a group may have that are not done (waiting, in hand or delayed). A publish that would exceed it for any group is refused
    /// with `.blocked`: what a group has not done is never dropped.
    package var backlogEvents: Int
    /// The same in bytes.
    package var backlogBytes: Int
    /// Bytes of one event, payload and headers; a larger one is refused with `.tooLarge`.
    package var eventBytes: Int
    /// Dead letters kept for each group; the oldest is dropped for a new one, and counted.
    package var deadLetters: Int
    /// The same in bytes.
    package var deadLetterBytes: Int
    /// Destinations and groups each; one more is refused with `.blocked`, so that invented names cannot fill the memory.
    package var names: Int
    /// With a durable log: bytes of events kept in memory for each destination; what is older is read from the file.
    package var memoryBytes: Int

    package init(
        historyEvents: Int = 10_000, historyBytes: Int = 64 << 20, backlogEvents: Int = 1_000_000, backlogBytes: Int = 1 << 30,
        eventBytes: Int = 16 << 20, deadLetters: Int = 10_000, deadLetterBytes: Int = 64 << 20, names: Int = 10_000,
        memoryBytes: Int = 32 << 20
    ) {
        self.historyEvents = historyEvents
        self.historyBytes = historyBytes
        self.backlogEvents = backlogEvents
        self.backlogBytes = backlogBytes
        self.eventBytes = eventBytes
        self.deadLetters = deadLetters
        self.deadLetterBytes = deadLetterBytes
        self.names = names
        self.memoryBytes = memoryBytes
    }
}
