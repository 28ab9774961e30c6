package import Lifecycle
import Locking
package import Streams
package import Telemetry

/// A RabbitMQ broker as a binder: topic exchanges, group queues, anonymous queues and dead letters as Spring Cloud Stream declares them.
///
/// One connection publishes, each subscription has one of its own; each has one thread. A lost connection is made again with jittered
/// back-off, and everything is declared again. Start positions other than `.latest` are not to be had: RabbitMQ replays nothing.
///
/// **What a confirmed publish survives** is the end of the broker, in the queues that it reached. A group that is new when its broker is killed
/// may be forgotten (RabbitMQ 3.10 confirms a durable queue before it is on disk, in a few of a hundred cases); what is published until a member
/// is back, which declares it again, does not reach it. `mandatory` has publishers told of that where no other queue takes the event.
package final class RabbitMQBinder: Binder {
    private enum Phase { case fresh, running, draining, closed }
    private struct State {
        var phase = Phase.fresh
        var next: UInt64 = 0
        var subscriptions: [UInt64: (subscription: Subscription, thread: ConnectionThread)] = [:]
        /// Which destination a queue name stands for: `a.b` with group `c` and `a` with group `b.c` have the same.
        var queues: [String: String] = [:]
    }
    package let name = "rabbitmq"
    /// No order per key: members of a group take from one queue. Whoever needs it uses partitions.
    package let capabilities: BinderCapabilities = [
        .durableGroups, .broadcast, .nativePartitions, .nativeDelay, .nativeDeadLetters, .binaryHeaders, .restartable, .remote,
        .credentials, .declarations, .mandatory, .bounded, .removable, .peerBatches,
    ]
    let configuration: RabbitMQConfiguration
    private let log: Log
    private let metrics: Metrics
    private let publisher: Publisher
    private let publishing: ConnectionThread
    let inspection: Inspection
    private let opened = ShutdownSignal()
    private let state = Locked(State())

    package init(configuration: RabbitMQConfiguration, log: Log = .silent, metrics: Metrics = Metrics()) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        let publisher = Publisher(configuration, log: log, metrics: metrics)
        let publishing = ConnectionThread(configuration, role: publisher, log: log)
        self.publisher = publisher
        self.publishing = publishing
        inspection = Inspection(configuration)
    }

    package var readiness: Readiness {
        let (phase, subscriptions) = state.withLock { ($0.phase, $0.subscriptions.values.map(\.subscription)) }
        guard phase == .running else { return .waiting(phase == .fresh ? "not started" : "closing") }
        guard publisher.readiness.isReady else { return publisher.readiness }
        return subscriptions.lazy.map(\.desk.readiness).first { !$0.isReady } ?? .ready
    }

    /// How many connections were made since the start, publishing and subscribing.
    package var connectionCount: Int {
        state.withLock { $0.subscriptions.values.map(\.thread) }.reduce(publishing.connectionCount) { $0 + $1.connectionCount }
    }

    package func run(_ life: ServiceLife) async throws {
        guard state.withLock({ $0.phase == .fresh }) else { throw BinderError(.closed, "a binder runs once") }
        state.withLock { $0.phase = .running }
        publishing.start()
        opened.request()
        life.started()  // an absent broker must not keep the rest of the program from starting
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.watch() }
            await life.untilShutdown()
            if !Task.isCancelled { await drain() }
            group.cancelAll()
        }
        let left = state.withLock { state in
            state.phase = .closed
            return state.subscriptions.values.map(\.thread)
        }
        for thread in left { await thread.end() }
        await publishing.end()
        inspection.end()
    }

    /// Cuts connections whose thread hangs in a send.
    private func watch() async {
        while !Task.isCancelled {
            let threads = state.withLock { $0.subscriptions.values.map(\.thread) }
            publishing.cutWhenStuck()
            for thread in threads { thread.cutWhenStuck() }
            try? await Task.sleep(for: .milliseconds(250))  // between two looks
        }
    }

    /// No more deliveries; waits until the subscriptions have ended and all publishes are answered, within the limit.
    private func drain() async {
        let subscriptions = state.withLock { state in
            state.phase = .draining
            return state.subscriptions.values.map(\.subscription)
        }
        for subscription in subscriptions { subscription.drain() }
        let isDrained = await untilDrained(within: configuration.drainLimit) {
            state.withLock { $0.subscriptions.isEmpty } && publisher.held == 0
        }
        if !isDrained { log.warning("deliveries in hand were not settled in time and go back to RabbitMQ") }
    }

    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        guard envelope.payload.count <= configuration.largestPayload else {
            throw BinderError(.tooLarge, "the payload has \(envelope.payload.count) bytes; the limit is \(configuration.largestPayload)")
        }
        try Self.check(envelope)
        let options = configuration.queueOptions(of: destination)
        let exchange = configuration.exchange(of: destination)
        let message = OutgoingMessage(
            exchange: exchange, routingKey: try routingKey(of: envelope, to: destination), mandatory: configuration.mandatory,
            messageID: envelope.id, properties: .new(envelope), body: envelope.payload)
        try await publisher.send(message, declaring: options.declaresExchange ? .exchange(exchange, options.exchangeType) : nil)
        return PublishReceipt(id: envelope.id)
    }

    func routingKey(of envelope: Envelope, to destination: Destination) throws(BinderError) -> String {
        let base = configuration.queueOptions(of: destination).routingKey ?? destination.name
        guard !configuration.partitions.isEmpty, let count = configuration.partitions[destination.name] else { return base }
        return "\(base)-\(try Partitioner(count: max(1, count)).partition(of: envelope))"
    }

    /// AMQP's short strings have a length byte.
    private static func check(_ envelope: Envelope) throws(BinderError) {
        guard !envelope.id.isEmpty, envelope.id.utf8.count <= 255 else { throw BinderError(.invalid, "an event's id has 1 to 255 bytes") }
        guard envelope.contentType?.utf8.count ?? 0 <= 255 else { throw BinderError(.invalid, "a content type has at most 255 bytes") }
        for (name, value) in envelope.headers { try check(name, value) }
    }

    private static func check(_ name: String, _ value: HeaderValue) throws(BinderError) {
        guard name.utf8.count <= 255 else { throw BinderError(.invalid, "a header's name has at most 255 bytes: \(name.prefix(40))…") }
        switch value {
        case .table(let members): for (name, value) in members { try check(name, value) }
        case .array(let values): for value in values { try check("", value) }
        default: return
        }
    }

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        try claim(topology(of: destination, group: group, partition: nil), for: destination)
        for part in topologies(of: destination, group: group) { try await publisher.send(nil, declaring: .group(part)) }
    }

    func topology(of destination: Destination, group: ConsumerGroup, partition: Int?) -> QueueTopology {
        QueueTopology(destination: destination, group: group, partition: partition, deadLetters: true, configuration: configuration)
    }

    /// One for each partition where the destination has some.
    func topologies(of destination: Destination, group: ConsumerGroup) -> [QueueTopology] {
        QueueTopology.all(of: destination, group: group, configuration)
    }

    private func claim(_ topology: QueueTopology, for destination: Destination) throws(BinderError) {
        let other = state.withLock { state -> String? in
            if let other = state.queues[topology.base], other != destination.name { return other }
            if state.queues.count < 10_000 { state.queues[topology.base] = destination.name }
            return nil
        }
        guard let other else { return }
        throw BinderError(
            .conflict,
            "the queue \(topology.base) belongs to \(other) already and would get the events of \(destination) too: choose another group name"
        )
    }

    /// The queues of the destination that this binder has declared, without the numbers of partitions.
    func knownQueues(of destination: Destination) -> [String] {
        state.withLock { state in state.queues.filter { $0.value == destination.name }.map(\.key) }
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        let subscription = Subscription(
            to: destination, group: group, options: options, configuration: configuration, publisher: publisher, log: log, metrics: metrics)
        if let topology = subscription.topology { try claim(topology, for: destination) }
        await opened.wait()
        let thread = ConnectionThread(configuration, role: subscription, log: log)
        let id = try state.withLock { state throws(BinderError) in
            guard state.phase == .running else { throw BinderError(.closed, "the RabbitMQ binder is closed") }
            state.next += 1
            state.subscriptions[state.next] = (subscription, thread)
            return state.next
        }
        thread.start()
        let result: Result<R, any Error>
        do {
            try await subscription.desk.positioned()
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
