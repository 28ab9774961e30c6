/// An event that a group has given up.
public struct DeadLetter: Sendable, Hashable {
    /// Names the dead letter within its group, for `replay` and `drop`.
    public var id: String
    /// As it was published, without any header of the failure.
    public var envelope: Envelope
    public var reason: FailureReason
    /// How many times the event was handed out before it was given up.
    public var attempts: Int
    /// When it was given up, milliseconds since 1970.
    public var time: Int64

    public init(id: String, envelope: Envelope, reason: FailureReason, attempts: Int, time: Int64) {
        self.id = id
        self.envelope = envelope
        self.reason = reason
        self.attempts = attempts
        self.time = time
    }
}

/// A binder whose dead letters can be looked at and acted upon.
package protocol DeadLetterKeeping: Sendable {
    /// The oldest `limit` dead letters of the group, oldest first.
    func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter]

    /// Gives these dead letters (nil: all) back to the group they came from, and to no other; attempts count from 1 again. Returns how many.
    func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int

    /// Forgets these dead letters (nil: all). Returns how many.
    func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int

    // What follows has an implementation by the three above; a binder that can do better has its own.

    /// The oldest `limit` dead letters that the filter means, oldest first.
    func deadLetters(
        of destination: Destination, group: ConsumerGroup, matching filter: DeadLetterFilter, limit: Int
    ) async throws(BinderError) -> DeadLetterPage

    /// One dead letter; nil when there is none of that id.
    func deadLetter(_ id: String, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> DeadLetter?

    /// Replays or drops the dead letters that the filter means.
    func act(
        _ action: DeadLetterAction, matching filter: DeadLetterFilter, of destination: Destination, group: ConsumerGroup
    ) async throws(BinderError) -> DeadLetterOutcome
}

/// A binder that can tell which groups have dead letters.
package protocol DeadLetterListing: Sendable {
    /// Every group that has dead letters now, by destination and name.
    func groupsWithDeadLetters() async throws(BinderError) -> [DeadLetterGroup]
}
