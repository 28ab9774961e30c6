/// Why a configuration could not be had, or a value could not be read. Never holds a value.
public struct ConfigError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable { case missing, mistyped, unreachable, refused, notFound, broken, rejected, cancelled, invalid }
        private let base: Base
        private init(_ base: Base) { self.base = base }
        /// The key has no value and no default was given.
        public static let missing = Code(.missing)
        /// The key has a value that is not what was asked for.
        public static let mistyped = Code(.mistyped)
        /// No server answered, or none has the version that was asked for yet.
        public static let unreachable = Code(.unreachable)
        /// The server refuses who asks: token, credentials, certificate.
        public static let refused = Code(.refused)
        /// The server knows no such label or application.
        public static let notFound = Code(.notFound)
        /// The server's answer cannot be understood.
        public static let broken = Code(.broken)
        /// A refresh scope could not be made of the new configuration; the old one stays.
        public static let rejected = Code(.rejected)
        /// The calling task was cancelled.
        public static let cancelled = Code(.cancelled)
        /// A setting that cannot be used.
        public static let invalid = Code(.invalid)
        public var description: String { base.rawValue }
    }

    public let code: Code
    /// Names the key or the server, the place and the remedy.
    public let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether asking again later can help.
    public var isRetriable: Bool { code == .unreachable || code == .broken }
    public var description: String { "\(message) (\(code))" }
}
