/// What happens when a handler fails: again at once in this process with growing pauses, then later through the binder, then the dead letters.
public struct RetryPolicy: Sendable {
    /// How often the handler is called for one delivery, the first call included; at least 1.
    public var attempts: Int
    /// The pause before the second call.
    public var initialPause: Duration
    /// Each further pause is this many times the one before.
    public var multiplier: Double
    public var longestPause: Duration
    /// By which part of itself a pause may be shorter or longer: 0 for exact pauses, 0.2 for ±20 %.
    public var jitter: Double
    /// After the calls of one delivery: give it back to the binder, to be delivered again after these times, one after the other. Other events
    /// are handled meanwhile. Empty: no such round.
    public var laterRounds: [Duration]
    /// Whether an error may be gone the next time; what is not goes to the dead letters at once.
    public var isRetryable: @Sendable (any Error) -> Bool

    public init(
        attempts: Int = 3, initialPause: Duration = .seconds(1), multiplier: Double = 2, longestPause: Duration = .seconds(10),
        jitter: Double = 0, laterRounds: [Duration] = [],
        isRetryable: @escaping @Sendable (any Error) -> Bool = { !($0 is any NonRetryable) }
    ) {
        self.attempts = attempts
        self.initialPause = initialPause
        self.multiplier = multiplier
        self.longestPause = longestPause
        self.jitter = jitter
        self.laterRounds = laterRounds
        self.isRetryable = isRetryable
    }

    public enum Action: Sendable, Hashable {
        /// Call the handler again after this time, holding on to the delivery.
        case again(after: Duration)
        /// Give the delivery back, to come again after this time.
        case later(after: Duration)
        /// Give the event up.
        case giveUp(FailureReason)
    }

    /// What to do after the `call`-th call for the `round`-th delivery of an event has failed; both count from 1. `random` is within 0..<1.
    public func action(after error: any Error, call: Int, round: Int, random: Double = .random(in: 0..<1)) -> Action {
        guard isRetryable(error) else { return .giveUp(FailureReason(error)) }
        if call < attempts { return .again(after: pause(before: call + 1, random: random)) }
        if round >= 1, round <= laterRounds.count { return .later(after: varied(laterRounds[round - 1], random)) }
        return .giveUp(FailureReason(error))
    }

    /// The pause before the `call`-th call.
    public func pause(before call: Int, random: Double) -> Duration {
        var pause = initialPause
        for _ in 2..<max(2, call) where pause < longestPause { pause = pause * multiplier }
        return varied(min(pause, longestPause), random)
    }

    private func varied(_ pause: Duration, _ random: Double) -> Duration {
        pause * (1 + min(max(jitter, 0), 1) * (2 * random - 1))
    }
}

/// An error that trying again cannot help: what a handler was given when it threw one goes to the dead letters without another try.
public protocol NonRetryable: Error {}

/// Thrown by a handler for an event that will never succeed: it goes to the dead letters without another try.
public struct PermanentFailure: NonRetryable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What becomes of an event whose handler has failed for the last time.
public enum FailurePolicy: String, Sendable, Hashable, CaseIterable {
    /// It goes to the dead letters of its group. Where none are kept it is dropped.
    case deadLetter = "dead-letter"
    /// It counts as done.
    case drop
    /// It comes again after the longest pause, for ever; other events are handled meanwhile.
    case retry
    /// It goes back, and the binding stops until somebody starts it: nothing behind it is handled before it.
    case stop
}

extension FailureReason {
    /// Longer texts are cut: a dead letter's headers must fit into a broker's frame.
    static let messageLimit = 2000

    /// The error's type and description. Descriptions of errors hold no payloads and no secrets.
    public init(_ error: any Error) {
        var message = "\(error)"
        if message.utf8.count > Self.messageLimit { message = String(message.prefix(Self.messageLimit / 4)) + "…" }
        self.init(message: message, kind: String(reflecting: type(of: error)))
    }
}
