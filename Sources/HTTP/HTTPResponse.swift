package import Locking

/// One answer as a value. Its framing is the server's, which leaves out a `Content-Length` given here; only a 304 may say the length of the body that
/// it spares its client, and should.
package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Written piece by piece while the client reads; the handler's closure runs until it returns, throws, or is cancelled because the
        /// client left or the server is ending.
        case stream(@Sendable (BodyWriter) async throws -> Void)
    }
    package var status: Int
    package var headers: HTTPHeaders
    package var body: Body

    package init(_ status: Int, headers: HTTPHeaders = [:], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Text with a media type.
    package init(_ status: Int = 200, text: String, type: String = "text/plain;charset=UTF-8", headers: HTTPHeaders = [:]) {
        self.init(status, bytes: Array(text.utf8), type: type, headers: headers)
    }

    package init(_ status: Int = 200, bytes: [UInt8], type: String, headers: HTTPHeaders = [:]) {
        self.status = status
        self.headers = headers
        self.headers["Content-Type"] = type
        body = .bytes(bytes)
    }

    /// The body's bytes; nil for a stream.
    package var bytes: [UInt8]? { if case .bytes(let bytes) = body { bytes } else { nil } }
    package var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
}

/// Where a streamed body goes.
package struct BodyWriter: Sendable {
    private let send: @Sendable ([UInt8]) async throws -> Void
    package init(_ send: @escaping @Sendable ([UInt8]) async throws -> Void) { self.send = send }

    /// Returns when the bytes fit into the connection's bounded buffer. Throws `CancellationError` when the client has left, reads too
    /// slowly, or the server is ending.
    package func write(_ bytes: [UInt8]) async throws { try await send(bytes) }
}

/// An answer that is served many times: made once, kept by a cache, sent by the server without a copy or a task.
package final class CachedResponse: Sendable {
    package let response: HTTPResponse
    /// The server's own form of the answer, made at the first use. Only the server touches it.
    package let prepared = Locked<(any AnyObject & Sendable)?>(nil)
    /// `response` must have a body of bytes.
    package init(_ response: HTTPResponse) { self.response = response }
}
