import HTTP
import ThreadExecutor

/// A client of HTTP servers: libcurl's multi interface on one thread of its own, with connections that are kept and used again.
///
/// Any number of tasks may use one client at once. When the last reference goes, its thread ends.
package final class HTTPClient: Sendable {
    package let configuration: HTTPClientConfiguration
    private let loop: TransferLoop
    private let executor: ThreadExecutor

    package init(_ configuration: HTTPClientConfiguration = HTTPClientConfiguration()) {
        self.configuration = configuration
        let loop = TransferLoop(configuration)
        self.loop = loop
        executor = ThreadExecutor(name: "http-client", parking: loop)
        executor.submit { loop.prepareThread() }
    }

    deinit {
        executor.submit { [loop] in loop.endAll() }
        executor.stop()
    }

    /// Sends the request and returns the whole answer, whatever its status. GET and HEAD follow redirects; beyond the first origin no
    /// credentials and none of the request's own fields but `Accept…` and `User-Agent` are sent on.
    ///
    /// Throws `.cancelled` at once when the task is cancelled; the server may have seen the request.
    package func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        var request = request
        request.totalLimit = request.totalLimit ?? configuration.totalLimit
        request.responseLimit = request.responseLimit ?? configuration.responseLimit
        let end = ContinuousClock.now + (request.totalLimit ?? .zero)
        for _ in 0...max(0, configuration.redirectLimit) {
            let response = try await sendOnce(request)
            guard let next = try redirect(request, response.head) else { return response }
            request = next
            request.totalLimit = max(.milliseconds(1), end - ContinuousClock.now)
        }
        throw HTTPClientError(
            .redirected, "\(request.shownURL) redirects more than \(configuration.redirectLimit) times; name the last address")
    }

    /// Sends the request and runs `body` with the answer's head and its bytes as they come; the transfer ends when `body` returns.
    ///
    /// While `body` does not ask for bytes, the connection is not read beyond `streamBuffer`. A stream has no total limit unless the
    /// request names one; the idle limit counts only while `body` waits or keeps up.
    package func withStream<R>(
        _ request: HTTPClientRequest, _ body: (HTTPClientResponse.Head, inout HTTPClientBody) async throws -> R
    ) async throws -> R {
        var request = request
        for _ in 0...max(0, configuration.redirectLimit) {
            let (executor, loop) = (executor, loop)
            let sink = StreamSink(bound: configuration.streamBuffer) { sink in executor.submit { loop.resume(sink) } }
            let abort: @Sendable (HTTPClientError) -> Void = { error in
                sink.end(error)
                executor.submit { loop.abort(sink) }
            }
            defer { abort(HTTPClientError(.closed, "\(request.shownURL) is not read any more")) }
            let url = request.shownURL
            let outcome: StreamSink.HeadOutcome = await withTaskCancellationHandler {
                await withCheckedContinuation { waiter in
                    sink.wait(head: waiter)
                    executor.submit { [request] in loop.start(request, sink) }
                }
            } onCancel: {
                abort(HTTPClientError(.cancelled, "the request to \(url) was cancelled"))
            }
            let head = try outcome.get()
            if let next = try redirect(request, head) {
                request = next
                continue
            }
            var stream = HTTPClientBody(sink, url: url, abort: abort)
            return try await body(head, &stream)
        }
        throw HTTPClientError(
            .redirected, "\(request.shownURL) redirects more than \(configuration.redirectLimit) times; name the last address")
    }

    private func sendOnce(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        let sink = WholeSink()
        let (executor, loop) = (executor, loop)
        let outcome: WholeSink.Outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                sink.wait(waiter)
                executor.submit { loop.start(request, sink) }
            }
        } onCancel: {
            sink.end(HTTPClientError(.cancelled, "the request to \(request.shownURL) was cancelled"))
            executor.submit { loop.abort(sink) }
        }
        return try outcome.get()
    }

    /// The request that a redirect asks for; nil where the answer is to be handed on as it is.
    private func redirect(_ request: HTTPClientRequest, _ head: HTTPClientResponse.Head) throws(HTTPClientError) -> HTTPClientRequest? {
        guard configuration.redirectLimit > 0, [301, 302, 303, 307, 308].contains(head.status), ["GET", "HEAD"].contains(request.method),
            let location = head.headers["Location"]
        else { return nil }
        guard let from = URLParts(request.url), let to = from.resolve(location) else {
            throw HTTPClientError(.redirected, "\(request.shownURL) redirects to an address that cannot be read")
        }
        guard to.scheme == "https" || from.scheme == "http" else {
            throw HTTPClientError(
                .redirected, "\(request.shownURL) redirects from https to \(to.scheme); ask the address that it redirects to")
        }
        var next = request
        next.url = to.text
        if to.origin != from.origin {
            let kept = ["accept", "accept-charset", "accept-language", "user-agent"]
            next.headers = HTTPHeaders(request.headers.fields.filter { kept.contains($0.name.lowercased()) })
            next.credentials = nil
        } else if next.credentials == nil {
            next.credentials = from.credentials
        }
        return next
    }
}
