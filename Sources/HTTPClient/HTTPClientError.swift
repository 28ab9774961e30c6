/// Why no answer came. An answer with any status is an answer, not an error.
package struct HTTPClientError: Error, Sendable, CustomStringConvertible {
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable {
            case invalid, unresolved, unreachable, tls, timedOut, tooLarge, redirected, interrupted, cancelled, closed, refused
        }
        private let base: Base
        private init(_ base: Base) { self.base = base }
        /// A URL, header or file that cannot be used.
        package static let invalid = Code(.invalid)
        /// The host's name is unknown.
        package static let unresolved = Code(.unresolved)
        /// Nobody takes the connection.
        package static let unreachable = Code(.unreachable)
        /// The handshake failed or the certificate is not trusted.
        package static let tls = Code(.tls)
        /// A time limit passed: to connect, of the whole, or idle.
        package static let timedOut = Code(.timedOut)
        /// Header or body is over the limit.
        package static let tooLarge = Code(.tooLarge)
        /// More redirects than allowed, or one from `https` to `http`.
        package static let redirected = Code(.redirected)
        /// The connection ended within the answer, or what came is no HTTP.
        package static let interrupted = Code(.interrupted)
        /// The calling task was cancelled.
        package static let cancelled = Code(.cancelled)
        /// The client was closed.
        package static let closed = Code(.closed)
        /// The address behind the name must not be asked (`publicAddressesOnly`).
        package static let refused = Code(.refused)
        package var description: String { base.rawValue }
    }

    package let code: Code
    /// Names the URL (without credentials or query) and the remedy.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether trying again later, or another server, can help.
    package var isRetriable: Bool { [.unresolved, .unreachable, .timedOut, .interrupted, .tls].contains(code) }
    package var description: String { "\(message) (\(code))" }
}
