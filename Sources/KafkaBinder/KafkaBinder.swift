package import Lifecycle
import Locking
import Synchronization
package import Streams
package import Telemetry
import ThreadExecutor

/// A Kafka cluster as a binder: topics, groups and dead letters as Spring Cloud Stream has them.
///
/// One client publishes, each subscription has one of its own; each has one thread beside those of the library. A subscription without a group
/// reads the partitions itself from offsets that it has asked for: nothing is missed after "ready", no group is left behind on the broker, and
/// every place can be taken up again. Events of one key keep their order; a retry with a delay holds up nothing, so it gives that order up
/// for its event: who needs it retries while the delivery is in hand.
package final class KafkaBinder: Binder {
    private enum Phase { case fresh, running, draining, closed }
    private struct State {
        var phase = Phase.fresh
        var next: UInt64 = 0
        var subscriptions: [UInt64: (subscription: Subscription, thread: KafkaThread)] = [:]
        /// Topics that are there.
        var topics: Set<String> = []
        var admin: KafkaAdmin?
        var failure: BinderError?
    }
    package let name = "kafka"
    package let capabilities: BinderCapabilities = [
        .durableGroups, .broadcast, .orderPerKey, .nativePartitions, .nativeDelay, .nativeDeadLetters, .binaryHeaders, .restartable, .lag,
        .replay, .remote, .removable, .credentials,
    ]
    let configuration: KafkaConfiguration
    private let log: Log
    private let metrics: Metrics
    let producer: Producer
    private let publishing: KafkaThread
    private let asking = ThreadExecutor(name: "kafka-admin")
    /// A thread of its own: a publisher that looks for its topic waits for no question about groups, which may take long.
    private let looking = ThreadExecutor(name: "kafka-topics")
    private let opened = ShutdownSignal()
    private let state = Locked(State())

    package init(configuration: KafkaConfiguration, log: Log = .silent, metrics: Metrics = Metrics()) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        let producer = Producer(configuration, log: log, metrics: metrics)
        self.producer = producer
        publishing = KafkaThread(producer)
    }

    deinit {
        asking.stop()
        looking.stop()
    }

    package var readiness: Readiness {
        let (phase, subscriptions) = state.withLock { ($0.phase, $0.subscriptions.values.map(\.subscription)) }
        guard phase == .running else { return .waiting(phase == .fresh ? "not started" : "closing") }
        guard producer.readiness.isReady else { return producer.readiness }
        return subscriptions.lazy.map(\.readiness).first { !$0.isReady } ?? .ready
    }

    package func run(_ life: ServiceLife) async throws {
        guard state.withLock({ $0.phase == .fresh }) else { throw BinderError(.closed, "a binder runs once") }
        do throws(BinderError) {
            let admin = try KafkaAdmin(configuration)
            try producer.open()
            state.withLock { state in
                state.phase = .running
                state.admin = admin
            }
        } catch {
            state.withLock { state in
                state.phase = .closed
                state.failure = error
            }
            opened.request()
            throw error
        }
        publishing.start()
        opened.request()
        life.started()  // an absent broker must not keep the rest of the program from starting
        await life.untilShutdown()
        if !Task.isCancelled { await drain() }
        let left = state.withLock { state in
            state.phase = .closed
            return state.subscriptions.values.map(\.thread)
        }
        for thread in left { await thread.end() }
        await publishing.end()
        state.withLock { $0.admin = nil }
    }

    /// No more deliveries; waits until the subscriptions have ended and all publishes are answered, within the limit.
    private func drain() async {
        let subscriptions = state.withLock { state in
            state.phase = .draining
            return state.subscriptions.values.map(\.subscription)
        }
        for subscription in subscriptions { subscription.drain() }
        let isDrained = await untilDrained(within: configuration.drainLimit) {
            state.withLock { $0.subscriptions.isEmpty } && producer.held == 0
        }
        if !isDrained { log.warning("deliveries in hand were not settled in time and go back to Kafka") }
    }

    // MARK: Publishing

    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        guard envelope.payload.count <= configuration.largestPayload else {
            throw BinderError(.tooLarge, "the payload has \(envelope.payload.count) bytes; the limit is \(configuration.largestPayload)")
        }
        guard !envelope.id.isEmpty else { throw BinderError(.invalid, "an event needs an id") }
        try await know(destination.name)
        var envelope = envelope
        let partition = try partition(of: &envelope, to: destination)
        let written = try await send(envelope, to: destination.name, partition: partition)
        return PublishReceipt(id: envelope.id, position: written.position)
    }

    /// A topic that was removed under us, or made anew with other partitions, is looked for again, and the event sent once more: it cannot have
    /// arrived.
    private func send(_ envelope: Envelope, to topic: String, partition: Int32?) async throws(BinderError) -> Written {
        var isFirst = true
        while true {
            let record = OutgoingRecord(
                topic: topic, partition: partition, key: envelope.key.map { Array($0.utf8) }, value: envelope.payload,
                timestamp: envelope.timestamp ?? -1, headers: KafkaHeaders.write(envelope),
                pending: PendingRecord(limit: configuration.publishLimit))
            do throws(BinderError) { return try await producer.send(record) } catch {
                guard record.pending.topicIsGone.load(ordering: .relaxed) else { throw error }
                state.withLock { _ = $0.topics.remove(topic) }
                guard isFirst else { throw error }
                isFirst = false
                do { try await Task.sleep(for: KafkaAdmin.noticeTime) } catch {  // readers are to notice that the topic is gone
                    throw BinderError(.cancelled, "the publish was cancelled; the event has not arrived")
                }
                try await know(topic)
            }
        }
    }

    /// The partition of a destination that has several by configuration, or that the envelope names itself; nil: Kafka's own choice by key.
    func partition(of envelope: inout Envelope, to destination: Destination) throws(BinderError) -> Int32? {
        if let named = envelope.headers[Partitioner.header]?.integer {
            guard let partition = Int32(exactly: named), partition >= 0 else {
                throw BinderError(.invalid, "\(named) in the header \(Partitioner.header) is no partition")
            }
            return partition
        }
        guard let count = configuration.partitions[destination.name] else { return nil }
        let partitioner = try Partitioner(count: count)
        envelope = try partitioner.assigning(envelope)
        return Int32(try partitioner.partition(of: envelope))
    }

    /// Before the first publish to a topic it must be there, with the partitions that it is to have.
    private func know(_ topic: String) async throws(BinderError) {
        let (isKnown, phase) = state.withLock { ($0.topics.contains(topic), $0.phase) }
        if isKnown { return }
        try KafkaNames.check(topic)
        if phase == .closed { throw BinderError(.closed, "the Kafka binder is closed") }
        guard configuration.createsTopics else { return remember(topic) }
        await opened.wait()
        try await producer.connected()
        let wanted = configuration.partitions[topic] ?? configuration.defaultPartitions
        let deadline = Monotonic.now + configuration.publishLimit.nanoseconds
        while true {
            do throws(BinderError) { return try await look(for: topic, partitions: wanted, until: deadline) } catch {
                // One answer that did not come in time is no reason to give up the event.
                guard error.isRetriable, !Task.isCancelled, Monotonic.now < deadline else { throw error }
                try? await Task.sleep(for: .milliseconds(100))  // between two tries
            }
        }
    }

    private func look(for topic: String, partitions: Int, until deadline: UInt64) async throws(BinderError) {
        try await ask(on: looking) { [self] admin throws(BinderError) in
            if state.withLock({ $0.topics.contains(topic) }) { return }
            // One question at a time: with a broker that is silent, many publishers would wait for each other's answers.
            guard Monotonic.now < deadline else {
                throw BinderError(.unreachable, "no answer of Kafka for the topic \(topic) within \(configuration.publishLimit)")
            }
            do throws(KafkaFailure) { _ = try admin.ensure([(topic, partitions)]) } catch {
                guard error.isRefused else { throw error.binderError }
                // Who may not create topics may still write to those that exist.
                log.warning("a topic could not be looked for or created", ["topic": topic, "reason": error.text])
            }
            producer.learn(topic)
        }
        remember(topic)
    }

    /// Subscriptions look for topics that have come.
    func lookAgain() {
        for subscription in state.withLock({ $0.subscriptions.values.map(\.subscription) }) { subscription.lookSoon() }
    }

    private func remember(_ topic: String) {
        state.withLock { state in
            if state.topics.count >= 10_000 { state.topics = [] }
            state.topics.insert(topic)
        }
    }

    /// Runs `body` on a thread for questions.
    func ask<R: Sendable>(
        on thread: ThreadExecutor? = nil, _ body: @escaping @Sendable (KafkaAdmin) throws(BinderError) -> R
    ) async throws(BinderError) -> R {
        await opened.wait()
        guard let admin = state.withLock({ $0.admin }) else {
            throw state.withLock { $0.failure } ?? BinderError(.closed, "the Kafka binder is closed")
        }
        let result = await withCheckedContinuation { continuation in
            (thread ?? asking).submit {
                let result: Result<R, BinderError>
                do throws(BinderError) { result = .success(try body(admin)) } catch { result = .failure(error) }
                continuation.resume(returning: result)
            }
        }
        do { return try result.get() } catch {
            guard error.code == .unreachable, !producer.readiness.isReady else { throw error }
            let brokers = configuration.addresses.map(\.description).joined(separator: ", ")
            throw BinderError(
                .unreachable, "\(error.message); no broker answers at \(brokers): is the address right, and does one run there?")
        }
    }

    // MARK: Groups

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        await opened.wait()
        try await producer.connected()
        let wanted = configuration.partitions[names.topic] ?? configuration.defaultPartitions
        let end = Monotonic.now + configuration.publishLimit.nanoseconds
        while true {
            do throws(BinderError) {
                let state = try await ask { admin throws(BinderError) in
                    do throws(KafkaFailure) {
                        let count = try admin.ensure([(names.topic, wanted), (names.deadLetters, wanted)])[0]
                        return try admin.establish(group: names.groupID, of: names.topic, partitions: count, start: .latest)
                    } catch { throw error.binderError }
                }
                guard state == .active else { return }
                break
            } catch {
                // A coordinator that is not there yet, at the first use of groups on a cluster.
                guard error.isRetriable, Monotonic.now < end else { throw error }
                do { try await Task.sleep(for: .milliseconds(100)) } catch { throw BinderError(.cancelled, "the group may not exist yet") }
            }
        }
        // Members of the group are busy with other topics: only a member may say where it stands.
        do {
            try await subscribed(names, group: group, options: SubscriptionOptions(), isSilent: true) { _ in }
        } catch { throw error as? BinderError ?? BinderError(.cancelled, "the group may not exist yet") }
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        if case .after(let position) = options.start { _ = try KafkaPosition(position) }
        return try await subscribed(names, group: group, options: options, isSilent: false, body)
    }

    private func subscribed<R: Sendable>(
        _ names: KafkaNames, group: ConsumerGroup?, options: SubscriptionOptions, isSilent: Bool,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        await opened.wait()
        let (id, subscription, thread) = try state.withLock { state throws(BinderError) in
            guard state.phase == .running, let admin = state.admin else {
                throw state.failure ?? BinderError(.closed, "the Kafka binder is closed")
            }
            let subscription = Subscription(
                names, group: group, options: options, isSilent: isSilent, configuration: configuration, admin: admin, producer: producer,
                log: log, metrics: metrics)
            let thread = KafkaThread(subscription)
            state.next += 1
            state.subscriptions[state.next] = (subscription, thread)
            return (state.next, subscription, thread)
        }
        thread.start()
        let result: Result<R, any Error>
        do {
            try await subscription.positioned()
            var deliveries = Deliveries(subscription)
            result = .success(try await body(&deliveries))
        } catch {
            result = .failure(error)
        }
        await thread.end()
        state.withLock { _ = $0.subscriptions.removeValue(forKey: id) }
        return try result.get()
    }
}
