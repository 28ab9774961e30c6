package import HTTP

/// The body of a streamed answer, pulled: while nobody calls `next()`, at most the client's `streamBuffer` is read ahead.
package struct HTTPClientBody: ~Copyable {
    private let sink: StreamSink
    private let abort: @Sendable (HTTPClientError) -> Void
    private var parser = ServerSentEventParser(lineLimit: 4 << 20)
    private var events: [ServerSentEvent] = []
    private let url: String

    init(_ sink: StreamSink, url: String, abort: @escaping @Sendable (HTTPClientError) -> Void) {
        self.sink = sink
        self.url = url
        self.abort = abort
    }

    /// The next bytes, never empty, or nil at the end of the body. Cancellation of the task ends the transfer and throws `.cancelled`.
    package mutating func next() async throws(HTTPClientError) -> [UInt8]? {
        let (sink, abort, url) = (sink, abort, url)
        let outcome: StreamSink.ChunkOutcome = await withTaskCancellationHandler {
            await withCheckedContinuation { sink.wait(chunk: $0) }
        } onCancel: {
            abort(HTTPClientError(.cancelled, "reading \(url) was cancelled"))
        }
        return try outcome.get()
    }

    /// The rest of the body. Throws `.tooLarge` when it is longer than `limit` bytes.
    package mutating func collect(upTo limit: Int) async throws(HTTPClientError) -> [UInt8] {
        var whole: [UInt8] = []
        while let bytes = try await next() {
            whole += bytes
            guard whole.count <= limit else { throw HTTPClientError(.tooLarge, "\(url) answered with more than \(limit) bytes") }
        }
        return whole
    }

    /// The next event of a `text/event-stream`, or nil at its end. Comments are not events, but they keep the idle limit away.
    package mutating func nextEvent() async throws(HTTPClientError) -> ServerSentEvent? {
        while events.isEmpty {
            guard let bytes = try await next() else { return nil }
            do {
                events = try parser.feed(bytes).reversed()
            } catch {
                throw HTTPClientError(.tooLarge, "\(url) sent an event with a line of more than \(parser.lineLimit) bytes")
            }
        }
        return events.removeLast()
    }
}
