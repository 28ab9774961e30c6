/// What a binder reports.
public struct BinderError: Error, Sendable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable {
            case unreachable, refused, blocked, unroutable, rejected, tooLarge, invalid, conflict, closed, timedOut, cancelled, broken,
                unsupported
        }
        private let base: Base
        private init(_ base: Base) { self.base = base }
        /// No connection to the broker.
        public static let unreachable = Code(.unreachable)
        /// The broker refuses who asks: credentials, permissions.
        public static let refused = Code(.refused)
        /// The broker takes nothing for now: memory or disk alarm, full queue.
        public static let blocked = Code(.blocked)
        /// Nobody is subscribed where the publisher asked for somebody.
        public static let unroutable = Code(.unroutable)
        /// The broker refused this event.
        public static let rejected = Code(.rejected)
        /// The event is over the broker's or binder's limit.
        public static let tooLarge = Code(.tooLarge)
        /// A name or an option that cannot be used.
        public static let invalid = Code(.invalid)
        /// Something of that name exists on the broker with other properties.
        public static let conflict = Code(.conflict)
        /// The binder or subscription is closed.
        public static let closed = Code(.closed)
        /// No confirm within the time limit: the event may or may not have arrived.
        public static let timedOut = Code(.timedOut)
        /// The calling task was cancelled: the event may or may not have arrived.
        public static let cancelled = Code(.cancelled)
        /// What the broker sent or the file holds cannot be understood.
        public static let broken = Code(.broken)
        /// This broker, or the server before it, cannot do what was asked for at all.
        public static let unsupported = Code(.unsupported)
        public var description: String { base.rawValue }
    }

    public let code: Code
    /// Names the thing, the place and the remedy; never a payload or a secret.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether trying again later can help.
    public var isRetriable: Bool { [.unreachable, .blocked, .timedOut, .rejected].contains(code) }
    public var description: String { "\(message) (\(code))" }
}
