import Lifecycle
import LocalBinder
import TestSupport
import Testing

@testable import Streams

@Suite struct BatchConsumerTests {
    private let destination = Destination(fixed: "orders")
    private let group: ConsumerGroup

    init() throws { group = try ConsumerGroup("workers") }

    private struct Broken: Error, CustomStringConvertible { let description = "broken" }

    private func options(size: Int = 5, attempts: Int = 2, failure: FailurePolicy = .deadLetter) -> BatchConsumer.Options {
        var options = BatchConsumer.Options()
        options.size = size
        options.wait = .seconds(3)  // on a busy machine all that is there must come within it
        options.retry = RetryPolicy(attempts: attempts, initialPause: .milliseconds(1))
        options.failure = failure
        return options
    }

    /// Publishes `texts` to a group that exists, then runs the consumer while `body` runs.
    private func with(
        _ texts: [String], _ options: BatchConsumer.Options,
        handler: @escaping @Sendable ([String], BatchConsumer.Batch) async throws -> Void,
        _ body: @escaping @Sendable (LocalBinder, FetchGate) async throws -> Void
    ) async throws {
        let binder = LocalBinder()
        try await binder.prepare(group: group, of: destination)
        for text in texts { _ = try await binder.publish(Envelope(text: text, key: "all"), to: destination) }
        let consumer = BatchConsumer(destination: destination, group: group, options: options) { batch in
            try await handler(batch.envelopes.map { String(decoding: $0.payload, as: UTF8.self) }, batch)
        }
        let gate = FetchGate()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            let shutdown = ShutdownSignal()
            tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
            tasks.addTask {
                do { try await consumer.run(over: binder, gate: gate) } catch is ConsumerStopped {}
            }
            defer {
                gate.close()
                shutdown.request()
            }
            try await body(binder, gate)
        }
    }

    @Test func `a full batch comes at once, and a part of one when its first event has waited`() async throws {
        let batches = Recorded<[String]>()
        try await with(["a", "b", "c", "d", "e", "f", "g"], options()) { texts, _ in
            batches.add(texts)
        } _: { [destination, group] binder, _ in
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(batches.all == [["a", "b", "c", "d", "e"], ["f", "g"]])
        }
    }

    @Test func `what comes before a failed event is accepted, and that one is tried again with those behind it`() async throws {
        let batches = Recorded<[String]>()
        try await with(["a", "b", "c", "d"], options()) { texts, _ in
            batches.add(texts)
            if batches.all.count == 1 { throw BatchFailure(at: 2, Broken()) }
        } _: { [destination, group] binder, _ in
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(batches.all == [["a", "b", "c", "d"], ["c", "d"]])
            #expect(try await binder.deadLetters(of: destination, group: group, limit: 10).isEmpty)
        }
    }

    @Test func `an event of a batch that always fails is given up alone`() async throws {
        let batches = Recorded<[String]>()
        try await with(["a", "poison", "b"], options()) { texts, _ in
            batches.add(texts)
            if let index = texts.firstIndex(of: "poison") { throw BatchFailure(at: index, Broken()) }
        } _: { [destination, group] binder, _ in
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(batches.all == [["a", "poison", "b"], ["poison", "b"], ["b"]])
            let dead = try await binder.deadLetters(of: destination, group: group, limit: 10)
            #expect(dead.map(\.reason.message) == ["broken"])
        }
    }

    @Test func `a batch that fails as a whole is tried again, and then event by event`() async throws {
        let batches = Recorded<[String]>()
        try await with(["a", "poison", "b"], options()) { texts, _ in
            batches.add(texts)
            if texts.contains("poison") { throw Broken() }
        } _: { [destination, group] binder, _ in
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(batches.all == [["a", "poison", "b"], ["a", "poison", "b"], ["a"], ["poison"], ["b"]])
            #expect(
                try await binder.deadLetters(of: destination, group: group, limit: 10).map(\.envelope.payload) == [Array("poison".utf8)])
        }
    }

    @Test func `events that cannot be used are given up before the others are handled`() async throws {
        let batches = Recorded<[String]>()
        try await with(["?", "a", "?", "b"], options()) { texts, _ in
            let unusable = texts.enumerated().filter { $0.element == "?" }.map { ($0.offset, Broken() as any Error) }
            if !unusable.isEmpty { throw UnusableEvents(Dictionary(uniqueKeysWithValues: unusable)) }
            batches.add(texts)
        } _: { [destination, group] binder, _ in
            try await eventually { try await binder.backlog(of: destination, group: group).total == 0 }
            #expect(batches.all == [["a", "b"]])
            #expect(try await binder.deadLetters(of: destination, group: group, limit: 10).count == 2)
        }
    }

    @Test func `the policy to stop leaves the failed event and all behind it to the group`() async throws {
        try await with(["a", "poison", "b"], options(failure: .stop)) { texts, _ in
            if let index = texts.firstIndex(of: "poison") { throw BatchFailure(at: index, Broken()) }
        } _: { [destination, group] binder, gate in
            try await eventually { gate.isClosed }
            try await eventually { try await binder.backlog(of: destination, group: group).ready == 2 }
        }
    }

    @Test func `a closed gate ends a consumer whose hand is full while it is paused`() async throws {
        var options = options(size: 2)
        options.subscription.prefetch = 2
        let started = ShutdownSignal()
        try await with(["a", "b", "c", "d", "e"], options) { _, batch in
            started.request()
            await batch.closing.wait()
            throw GivenBack()
        } _: { [destination, group] binder, gate in
            await started.wait()
            gate.pause()
            gate.close()
            try await eventually { try await binder.backlog(of: destination, group: group).ready == 5 }
        }
    }

    @Test func `no two batches have events of one key in hand`() {
        var schedule = BatchSchedule<Int>()
        for (index, key) in ["a", "b", "a", nil, "b"].enumerated() { schedule.add(index, key: key) }
        #expect(schedule.take(2) == [0, 1])
        #expect(schedule.hasFree(1))
        #expect(!schedule.hasFree(2))
        #expect(schedule.take(5) == [3])
        schedule.finish(["a", "b"])
        #expect(schedule.hasFree(2))
        #expect(schedule.take(5) == [2, 4])
        #expect(schedule.count == 3)
    }
}
