internal import HTTPClient
internal import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry

/// One push subscription at work: a member of its group whose handler is a request.
final class Pusher: Sendable {
    enum End: Sendable, Hashable {
        case stopped
        /// The subscriber wants no more.
        case gone
    }
    private struct State {
        var delivered = 0
        var failed = 0
        var lastError: String?
        /// Until when the subscriber asked for a pause.
        var pausedUntil: ContinuousClock.Instant?
        var isGone = false
    }

    let subscription: PushSubscription
    private let settings: PushSettings
    private let client: HTTPClient
    private let log: Log
    private let metrics: Metrics?
    private let gate = FetchGate()
    private let stopping = ShutdownSignal()
    private let state = Locked(State())

    init(_ subscription: PushSubscription, settings: PushSettings, client: HTTPClient, log: Log, metrics: Metrics?) {
        self.subscription = subscription
        self.settings = settings
        self.client = client
        self.log = log
        self.metrics = metrics
    }

    /// Requests under way end; then `run` returns.
    func stop() {
        stopping.request()
        gate.close()
    }

    /// Subscribes and sends until `stop()`, the end of the binder, or a 410.
    func run(over binder: any Binder) async -> End {
        let retry = RetryPolicy(
            attempts: subscription.attempts, initialPause: settings.firstPause, longestPause: settings.longestPause, jitter: 0.2)
        let options = Consumer.Options(
            concurrency: subscription.concurrency, retry: retry,
            subscription: SubscriptionOptions(prefetch: subscription.concurrency * 2))
        let consumer = Consumer(
            destination: subscription.key.destination, group: subscription.key.group, options: options, log: log, metrics: metrics
        ) { [self] event in try await send(event) }
        do { try settings.check(url: subscription.url) } catch {
            // Kept from a time when it was allowed.
            let why = ChannelError.of(error).message
            note(error: why)
            log.error("a push subscription must not be served", fields("reason", why))
            await stopping.wait()
            return .stopped
        }
        var backOff = BackOff(first: settings.firstPause, longest: settings.longestPause)
        while !stopping.isRequested, !Task.isCancelled {
            do {
                try await take(consumer, binder)
                break  // told to stop, or the binder is ending
            } catch {
                guard !stopping.isRequested, !Task.isCancelled else { break }
                note(error: "no subscription: \(error)")
                log.warning("a push subscription cannot take events", fields("reason", "\(error)"))
                await stopping.wait(atMost: backOff.next())
            }
        }
        return state.withLock { $0.isGone } ? .gone : .stopped
    }

    /// Runs the consumer; told to stop while the broker is away, it waits for it no longer.
    private func take(_ consumer: Consumer, _ binder: any Binder) async throws {
        let established = ShutdownSignal()
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask { [gate] in
                try await consumer.run(over: binder, gate: gate) { established.request() }
                return true
            }
            tasks.addTask { [stopping] in
                await stopping.wait()
                guard established.isRequested else { throw CancellationError() }
                return false
            }
            if try await tasks.next() == false { _ = try await tasks.next() }
            tasks.cancelAll()
        }
    }

    private func send(_ event: Consumer.Event) async throws {
        while true {
            try await untilWanted()
            let now = Timestamp.now.milliseconds / 1000
            let request = PushMessage.request(
                event.envelope, attempt: max(event.call, event.round), to: subscription, secret: settings.secret, now: now)
            let answer: PushMessage.Answer
            do throws(HTTPClientError) {
                let response = try await client.send(request)
                answer = PushMessage.answer(response.status, response.headers, longestPause: settings.longestRetryAfter, now: now)
            } catch {
                if error.code == .cancelled { throw GivenBack() }
                answer = .failed(error.message.replacing(request.shownURL, with: subscription.shownURL))
            }
            metrics?.count(
                "carillon_channels_push_requests_total",
                [
                    "destination": subscription.key.destination.name, "group": subscription.key.group.name, "answer": answer.word,
                ], help: "Requests to the subscribers of push subscriptions by what was answered.")
            switch answer {
            case .accepted:
                state.withLock { $0.delivered += 1 }
                return
            case .gone:
                state.withLock { $0.isGone = true }
                stop()
                throw GivenBack()
            case .later(let pause):
                let until = ContinuousClock.now + pause
                state.withLock { $0.pausedUntil = max($0.pausedUntil ?? until, until) }
            case .failed(let why):
                note(error: why)
                state.withLock { $0.failed += 1 }
                throw PushFailed(description: why)
            }
        }
    }

    /// Waits while the subscriber has asked for a pause. Throws when the subscription ends.
    private func untilWanted() async throws {
        while true {
            if stopping.isRequested || Task.isCancelled { throw GivenBack() }
            guard let until = state.withLock({ $0.pausedUntil }), until > .now else { return }
            await stopping.wait(atMost: until - .now)
        }
    }

    private func note(error: String) { state.withLock { $0.lastError = error } }

    private func fields(_ name: String, _ value: String) -> KeyValuePairs<String, String> {
        ["destination": subscription.key.destination.name, "group": subscription.key.group.name, name: value]
    }

    /// The subscription and how it goes, without its secret.
    var shown: WireValue {
        let (delivered, failed, lastError, paused) = state.withLock { state in
            (state.delivered, state.failed, state.lastError, state.pausedUntil.map { max(.zero, $0 - .now) } ?? .zero)
        }
        var members = subscription.shown
        members.append(.init("signed", .boolean((subscription.secret ?? settings.secret) != nil)))
        members.append(.init("delivered", .integer(Int64(delivered))))
        members.append(.init("failed", .integer(Int64(failed))))
        if paused > .zero { members.append(.init("pausedFor", .string("\(paused.components.seconds + 1)s"))) }
        if let lastError { members.append(.init("lastError", .string(lastError))) }
        return .object(members)
    }
}

/// The subscriber did not take an event; says nothing of what the event holds.
struct PushFailed: Error, CustomStringConvertible {
    let description: String
}
