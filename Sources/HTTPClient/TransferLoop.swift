import CCurl
import CPosix
import Glibc
import ThreadExecutor

/// libcurl's multi handle under a `ThreadExecutor`: whenever no job waits, it moves all transfers on and sleeps until one of them, a timer
/// or a new job needs it.
final class TransferLoop: Parking, @unchecked Sendable {
    // `multi` is safe for `curl_multi_wakeup` from any thread; everything else is touched on the executor's thread only.
    private let multi: UnsafeMutableRawPointer
    private let configuration: HTTPClientConfiguration
    private var exchanges: [ObjectIdentifier: Exchange] = [:]
    private var nextIdleCheck: ContinuousClock.Instant?

    private static let isLibraryReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(_ configuration: HTTPClientConfiguration) {
        // Both fail only without memory or with a libcurl whose TLS does not start: nothing that needs this client could ever run.
        precondition(Self.isLibraryReady, "libcurl cannot start")
        guard let multi = curl_multi_init() else { preconditionFailure("libcurl cannot start a multi handle") }
        self.multi = multi
        self.configuration = configuration
        carillon_curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, max(1, configuration.connectionsPerHost))
    }

    deinit {
        for exchange in exchanges.values { curl_multi_remove_handle(multi, exchange.easy) }
        exchanges = [:]
        curl_multi_cleanup(multi)
    }

    // MARK: - Parking

    func park() {
        var running: Int32 = 0
        curl_multi_perform(multi, &running)
        finish()
        endIdle()
        var wait = Duration.seconds(60)
        if let next = nextIdleCheck { wait = min(wait, max(.zero, next - .now)) }
        curl_multi_poll(multi, nil, 0, Int32(wait.wholeMilliseconds), nil)
    }

    func wake() { curl_multi_wakeup(multi) }

    // MARK: - Jobs

    /// A peer that is gone is an error of its transfer, not a signal that ends the process.
    func prepareThread() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    func start(_ request: HTTPClientRequest, _ sink: any TransferSink) {
        guard !sink.isOver else { return }
        let exchange: Exchange
        do {
            exchange = try Exchange(request, sink, configuration)
        } catch {
            sink.end(error)
            return
        }
        guard curl_multi_add_handle(multi, exchange.easy) == CURLM_OK else {
            sink.end(HTTPClientError(.closed, "libcurl takes no request to \(request.shownURL)"))
            return
        }
        exchanges[ObjectIdentifier(sink)] = exchange
        let end = exchange.lastActivity + exchange.idleLimit
        nextIdleCheck = nextIdleCheck.map { min($0, end) } ?? end
    }

    /// Goes on reading after the sink had no room.
    func resume(_ sink: any TransferSink) {
        guard let exchange = exchanges[ObjectIdentifier(sink)], exchange.isPaused else { return }
        exchange.isPaused = false
        exchange.lastActivity = .now
        let end = exchange.lastActivity + exchange.idleLimit
        nextIdleCheck = nextIdleCheck.map { min($0, end) } ?? end
        curl_easy_pause(exchange.easy, carillon_curl_receive_and_send)
    }

    /// Drops a transfer whose sink is over; its connection is closed unless the answer had come whole.
    func abort(_ sink: any TransferSink) { remove(ObjectIdentifier(sink)) }

    func endAll() {
        for (key, exchange) in exchanges {
            exchange.sink.end(HTTPClientError(.closed, "the client was closed while it asked \(exchange.request.shownURL)"))
            remove(key)
        }
    }

    private func remove(_ key: ObjectIdentifier) {
        guard let exchange = exchanges.removeValue(forKey: key) else { return }
        curl_multi_remove_handle(multi, exchange.easy)
    }

    private func finish() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            var result = CURLE_OK
            guard let easy = carillon_curl_finished(message, &result) else { continue }
            var context: UnsafeMutableRawPointer?
            carillon_curl_get_pointer(easy, CURLINFO_PRIVATE, &context)
            guard let context else { continue }
            let exchange = Exchange.of(context)
            remove(ObjectIdentifier(exchange.sink))
            exchange.sink.end(exchange.error(of: result))
        }
    }

    private func endIdle() {
        guard let next = nextIdleCheck, next <= .now else { return }
        let now = ContinuousClock.now
        nextIdleCheck = nil
        for (key, exchange) in exchanges {
            guard let end = exchange.idleEnd else { continue }
            if end <= now {
                remove(key)
                exchange.sink.end(exchange.idleError)
            } else {
                nextIdleCheck = nextIdleCheck.map { min($0, end) } ?? end
            }
        }
    }
}
