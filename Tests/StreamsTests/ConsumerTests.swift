import Lifecycle
import LocalBinder
import Locking
import Streams
import TestSupport
import Testing

@Suite struct ConsumerTests {
    private let destination = Destination(fixed: "orders")
    private let group: ConsumerGroup

    init() throws { group = try ConsumerGroup("workers") }

    private struct Broken: Error, CustomStringConvertible { let description = "broken" }

    /// Runs an embedded broker, and a consumer on it, while `body` runs.
    private func with(
        _ options: Consumer.Options, handler: @escaping Consumer.Handler,
        _ body: @escaping @Sendable (LocalBinder, FetchGate) async throws -> Void
    ) async throws {
        let binder = LocalBinder()
        let consumer = Consumer(destination: destination, group: group, options: options, handler: handler)
        let gate = FetchGate()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            let shutdown = ShutdownSignal()
            tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
            let ready = ShutdownSignal()
            tasks.addTask { try await consumer.run(over: binder, gate: gate) { ready.request() } }
            await ready.wait()
            do { try await body(binder, gate) } catch {
                gate.close()
                shutdown.request()
                throw error
            }
            gate.close()
            try await tasks.next()
            shutdown.request()
        }
    }

    private func publish(_ texts: [String], key: String? = nil, _ binder: LocalBinder) async throws {
        for text in texts { _ = try await binder.publish(Envelope(text: text, key: key), to: destination) }
    }

    @Test func `a handler that fails twice is called a third time, and the event is done`() async throws {
        let calls = Recorded<Int>()
        try await with(Consumer.Options(retry: RetryPolicy(initialPause: .milliseconds(1)))) { event in
            calls.add(event.call)
            if event.call < 3 { throw Broken() }
        } _: { [destination, group] binder, _ in
            _ = try await binder.publish(Envelope(text: "a"), to: destination)
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(calls.all == [1, 2, 3])
        }
    }

    @Test func `a handler that always fails leaves a dead letter with the reason, and the events behind it are handled`() async throws {
        let done = Recorded<String>()
        try await with(Consumer.Options(retry: RetryPolicy(initialPause: .milliseconds(1)))) { event in
            let text = String(decoding: event.envelope.payload, as: UTF8.self)
            if text == "poison" { throw Broken() }
            done.add(text)
        } _: { [destination, group] binder, _ in
            for text in ["a", "poison", "b"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
            try await eventually { done.all == ["a", "b"] }
            try await eventually { try await binder.deadLetters(of: destination, group: group, limit: 10).count == 1 }
            let dead = try await binder.deadLetters(of: destination, group: group, limit: 10)
            #expect(dead[0].envelope.payload == Array("poison".utf8))
            #expect(dead[0].reason.message == "broken")
        }
    }

    @Test func `a later round gives the event back, so that others are handled meanwhile`() async throws {
        let seen = Recorded<String>()
        let options = Consumer.Options(retry: RetryPolicy(attempts: 1, laterRounds: [.seconds(2)]))
        try await with(options) { event in
            let text = String(decoding: event.envelope.payload, as: UTF8.self)
            seen.add("\(text)\(event.round)")
            if text == "slow", event.round == 1 { throw Broken() }
        } _: { [destination, group] binder, _ in
            for text in ["slow", "a", "b"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(seen.all == ["slow1", "a1", "b1", "slow2"])
        }
    }

    @Test func `several are handled at once, those of one key in their order`() async throws {
        let seen = Recorded<String>()
        let most = Locked((now: 0, most: 0))
        try await with(Consumer.Options(concurrency: 4)) { event in
            most.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            seen.add("\(event.envelope.key ?? "")\(String(decoding: event.envelope.payload, as: UTF8.self))")
            try await Task.sleep(for: .milliseconds(2))
            most.withLock { $0.now -= 1 }
        } _: { [destination] binder, _ in
            for number in 0..<40 {
                _ = try await binder.publish(Envelope(text: "\(10 + number / 4)", key: "k\(number % 4)"), to: destination)
            }
            try await eventually { seen.all.count == 40 }
            for key in 0..<4 {
                let ofKey = seen.all.filter { $0.hasPrefix("k\(key)") }
                #expect(ofKey == ofKey.sorted())
                #expect(ofKey.count == 10)
            }
            #expect(most.withLock { $0.most } > 1)
            #expect(most.withLock { $0.most } <= 4)
        }
    }

    @Test func `closing ends the event in hand and takes no other`() async throws {
        let begun = ShutdownSignal()
        let goOn = ShutdownSignal()
        let done = Recorded<String>()
        try await with(Consumer.Options()) { event in
            begun.request()
            await goOn.wait()
            done.add(String(decoding: event.envelope.payload, as: UTF8.self))
        } _: { [destination, group] binder, gate in
            for text in ["a", "b", "c"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
            await begun.wait()
            gate.close()
            goOn.request()
            try await eventually { try await binder.backlog(of: destination, group: group).inHand == 0 }
            #expect(done.all == ["a"])
            #expect(try await binder.backlog(of: destination, group: group).total == 2)
        }
    }

    @Test func `a cancelled handler's event is neither accepted nor rejected, and goes to the next member`() async throws {
        let binder = LocalBinder()
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
            let begun = ShutdownSignal()
            let first = Consumer(destination: destination, group: group) { _ in
                begun.request()
                try await Task.sleep(for: .seconds(600))
            }
            try await binder.prepare(group: group, of: destination)
            try await publish(["a", "b"], binder)
            await withTaskGroup(of: Void.self) { inner in
                inner.addTask { try? await first.run(over: binder) }
                await begun.wait()
                inner.cancelAll()
            }
            #expect(try await binder.deadLetters(of: destination, group: group, limit: 10).isEmpty)
            #expect(try await binder.backlog(of: destination, group: group).total == 2)
            let seen = Recorded<String>()
            let gate = FetchGate()
            let second = Consumer(destination: destination, group: group) { seen.add(String(decoding: $0.envelope.payload, as: UTF8.self)) }
            tasks.addTask { try await second.run(over: binder, gate: gate) }
            try await eventually { Set(seen.all) == ["a", "b"] }
            gate.close()
            try await tasks.next()
            shutdown.request()
            try await tasks.waitForAll()
        }
    }

    @Test func `a paused consumer takes nothing until it is resumed`() async throws {
        let seen = Recorded<String>()
        try await with(Consumer.Options(subscription: SubscriptionOptions(prefetch: 1))) { event in
            seen.add(String(decoding: event.envelope.payload, as: UTF8.self))
        } _: { [destination, group] binder, gate in
            _ = try await binder.publish(Envelope(text: "a"), to: destination)
            try await eventually { seen.all == ["a"] }
            gate.pause()
            try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { others in
                _ = try await binder.publish(Envelope(text: "b"), to: destination)
                _ = try await others.next()  // others have it by now
            }
            #expect(seen.all == ["a"])
            #expect(try await binder.backlog(of: destination, group: group).total == 1)
            gate.resume()
            try await eventually { seen.all == ["a", "b"] }
        }
    }
}
