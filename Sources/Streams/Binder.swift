package import Lifecycle

/// One broker. `run(_:)` keeps it connected until shutdown; `publish` and `withSubscription` may be called before and wait for the connection.
package protocol Binder: Service {
    /// What the conformance suite may expect.
    var capabilities: BinderCapabilities { get }

    /// Whether the binder is connected and every subscription's position is established; the reason where it is not.
    var readiness: Readiness { get }

    /// Returns after the broker's confirm: the event survives what the broker promises to survive. Throws `.timedOut` or `.cancelled` when
    /// it is not known whether the event arrived.
    func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt

    /// Runs `body` with the deliveries of one subscription, and ends the subscription when it returns.
    ///
    /// `body` starts only when the position on the broker is really established: nothing published after that is missed. Without a group
    /// every subscription gets every event. What is unsettled at the end is delivered again to the next member of the group. A lost
    /// connection does not end it: the binder connects again and goes on; `options.events` tells of it.
    func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R

    /// Creates the group on the broker without subscribing, so that it keeps what is published from now on. Does nothing when it exists.
    func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError)
}

package struct BinderCapabilities: OptionSet, Sendable, Hashable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
    package static let durableGroups = Self(rawValue: 1 << 0)
    package static let broadcast = Self(rawValue: 1 << 1)
    package static let orderPerKey = Self(rawValue: 1 << 2)
    package static let orderGlobal = Self(rawValue: 1 << 3)
    package static let nativePartitions = Self(rawValue: 1 << 4)
    package static let nativeDelay = Self(rawValue: 1 << 5)
    package static let nativeDeadLetters = Self(rawValue: 1 << 6)
    package static let transactions = Self(rawValue: 1 << 7)
    package static let pause = Self(rawValue: 1 << 8)
    package static let lag = Self(rawValue: 1 << 9)
    package static let restartable = Self(rawValue: 1 << 10)
    package static let binaryHeaders = Self(rawValue: 1 << 11)
    /// A broadcast subscription can start after a position that was seen before.
    package static let replay = Self(rawValue: 1 << 12)
    /// Events are handed out as they are asked for: the prefetch is a bound only, not a buffer that other members wait for.
    package static let onDemand = Self(rawValue: 1 << 13)
    /// The broker is another process: the connection to it can be lost, and the binder makes it again.
    package static let remote = Self(rawValue: 1 << 14)
    /// Destinations and groups can be removed from the broker, by whoever may, while they are in use (`DestinationRemoving`).
    package static let removable = Self(rawValue: 1 << 15)
    /// The broker asks who it talks to, and refuses some.
    package static let credentials = Self(rawValue: 1 << 16)
    /// What the binder declares has properties that may disagree with what the broker has.
    package static let declarations = Self(rawValue: 1 << 17)
    /// A publisher can ask to be told when nobody is subscribed.
    package static let mandatory = Self(rawValue: 1 << 18)
    /// The backlog of a group can have a bound, at which publishers are refused.
    package static let bounded = Self(rawValue: 1 << 19)
    /// Peers may send compressed events, or several in one message, which come out one by one as they were.
    package static let peerBatches = Self(rawValue: 1 << 20)
}

package enum Readiness: Sendable, Hashable {
    case ready
    case waiting(String)
    package var isReady: Bool { self == .ready }
}

public struct PublishReceipt: Sendable, Hashable {
    /// The envelope's id.
    public let id: String
    /// Where the event stands on the broker, usable as `StartPosition.after`; nil where the broker tells none.
    public let position: String?
    public init(id: String, position: String? = nil) {
        self.id = id
        self.position = position
    }
}

public enum StartPosition: Sendable, Hashable {
    /// Only what is published after "ready".
    case latest
    /// All that the broker still has.
    case earliest
    /// Behind the event at this position (`Delivery.position`). Where the broker has dropped it, all that it still has, and `SubscriptionEvent.gap`.
    case after(String)
    /// From this time on, milliseconds since 1970.
    case time(Int64)
}

public enum SubscriptionEvent: Sendable, Hashable {
    case ready
    /// The connection is lost; the binder connects again by itself.
    case interrupted(String)
    /// Connected again, and nothing was missed.
    case resumed
    /// Connected again, and events may have been missed: compare versions.
    case gap
}

public struct SubscriptionOptions: Sendable {
    /// How many unsettled deliveries the broker hands out at once.
    public var prefetch: Int
    /// Where a broadcast subscription, or a group that is new on the broker, starts. An existing group goes on where it stands.
    public var start: StartPosition
    /// Whether rejected deliveries of a group are kept as dead letters.
    public var deadLetters: Bool
    /// Which partition of a partitioned destination this member reads; nil: not partitioned.
    public var partition: Int?
    /// Called for each change of the connection, in order, from any task; must not block.
    public var events: @Sendable (SubscriptionEvent) -> Void

    public init(
        prefetch: Int = 32, start: StartPosition = .latest, deadLetters: Bool = true, partition: Int? = nil,
        events: @escaping @Sendable (SubscriptionEvent) -> Void = { _ in }
    ) {
        self.prefetch = prefetch
        self.start = start
        self.deadLetters = deadLetters
        self.partition = partition
        self.events = events
    }
}

/// A binder whose events have positions.
package protocol PositionTelling: Sendable {
    /// The position of the newest event of the destination, usable as `StartPosition.after`: a subscription from there misses nothing that is
    /// published later. Nil where the broker has none.
    func latestPosition(of destination: Destination) async throws(BinderError) -> String?
}
