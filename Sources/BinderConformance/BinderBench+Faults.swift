internal import Lifecycle
internal import Locking
internal import Streams

extension BinderBench {
    /// Runs a binder of its own, all of whose connections go through a proxy, around `body`; the proxy passes everything again at the end.
    func withProxied<R: Sendable>(_ body: @escaping @Sendable (any Binder, FaultProxy) async throws -> R) async throws -> R {
        let made = try await demandVariant(variants.proxied, "remote")()
        let proxy = made.proxy
        return try await Self.withRunning(made.binder) {
            let result: Result<R, any Error>
            do { result = .success(try await body(made.binder, proxy)) } catch { result = .failure(error) }
            await proxy.set()
            await proxy.refuse(false)
            return try result.get()
        }
    }

    /// Runs a member that goes on whatever happens to its connection, while `body` runs; `body` starts when it is ready. It collects an event
    /// when it comes; where the broker cannot be told of its end it comes again.
    func withFollower<R: Sendable>(
        of destination: Destination, group: ConsumerGroup?, by binder: any Binder, prefetch: Int = 32,
        _ body: @escaping @Sendable (Collector, EventCollector) async throws -> R
    ) async throws -> R {
        let collector = Collector()
        let events = EventCollector()
        let failure = FirstFailure()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                do {
                    let options = SubscriptionOptions(prefetch: prefetch) { events.add($0) }
                    try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                        while let delivery = try await deliveries.next() {
                            collector.add(
                                Seen(envelope: delivery.envelope, attempt: delivery.attempt, position: delivery.position))
                            try? await delivery.accept()
                        }
                    }
                } catch let error as BinderError where error.code == .cancelled {
                } catch is CancellationError {} catch {
                    failure.keep(error)
                    throw error
                }
            }
            try await eventually(within: patience, "a ready subscription of \(destination)") {
                try failure.check()
                return events.all.contains(.ready)
            }
            let result = try await body(collector, events)
            tasks.cancelAll()
            try await tasks.waitForAll()
            return result
        }
    }

    /// Publishes each text by one of `publishers`, each until it is confirmed, as a publisher does that wants it to arrive. Returns when all are.
    func publishStubbornly(
        _ texts: [String], to destination: Destination, by binder: any Binder, publishers: Int, confirmed: TextCollector
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for publisher in 0..<publishers {
                tasks.addTask {
                    for index in stride(from: publisher, to: texts.count, by: publishers) {
                        while true {
                            do throws(BinderError) {
                                _ = try await binder.publish(Envelope(text: texts[index]), to: destination)
                                confirmed.add(texts[index])
                                break
                            } catch {
                                guard error.isRetriable else { throw error }
                                try await Task.sleep(for: .milliseconds(20))  // between two tries: a broker that is away refuses at once
                            }
                        }
                    }
                }
            }
            while try await tasks.next() != nil {}
        }
    }

    /// Publishes `<text>-1`, `<text>-2` … until one of them has come.
    func demandArrival(_ text: String, at collector: Collector, of destination: Destination, by binder: any Binder) async throws {
        let number = Counter()
        try await eventually(within: patience, "an event after \(text)") {
            number.add()
            _ = try? await binder.publish(Envelope(text: "\(text)-\(number.value)"), to: destination)
            // A while for this one before the next is sent.
            do {
                try await eventually(within: .milliseconds(200)) { collector.texts.contains { $0.hasPrefix(text + "-") } }
                return true
            } catch is NotInTime { return false }
        }
    }
}

/// Texts that several tasks collect.
final class TextCollector: Sendable {
    private let texts = Locked<Set<String>>([])
    var all: Set<String> { texts.withLock { $0 } }
    var count: Int { texts.withLock { $0.count } }
    func add(_ text: String) { texts.withLock { _ = $0.insert(text) } }
}

final class FailureCollector: Sendable {
    private let failures = Locked<[BinderError]>([])
    var all: [BinderError] { failures.withLock { $0 } }
    func add(_ failure: BinderError) { failures.withLock { $0.append(failure) } }
}
