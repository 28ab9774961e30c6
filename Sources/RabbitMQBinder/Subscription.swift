import Locking
import Streams
import Telemetry
import ThreadExecutor

/// One subscription on a connection of its own, so that an error of its channel or a slow reader holds nobody else up.
///
/// What is not in a lock is touched on the connection's thread only.
final class Subscription: ConnectionRole, DeliverySource, @unchecked Sendable {
    enum Command: Sendable {
        case accept(UInt64)
        case requeue(UInt64)
    }
    private struct Shared {
        var commands: [Command] = []
        /// One of the commands does not wait for others.
        var urgent = false
        /// Counts connections: a delivery of an earlier one can no longer be settled.
        var generation: UInt64 = 0
        var queue = ""
        var drainAsked = false

        /// Of what the connection so far has brought, nothing can be settled any more.
        mutating func forgetConnection() {
            generation += 1
            commands = []
            urgent = false
        }
    }

    let purpose: String
    let destination: Destination
    let group: ConsumerGroup?
    let options: SubscriptionOptions
    let publisher: Publisher
    let topology: QueueTopology?
    let exchange: String
    private let topic: RabbitMQQueueOptions
    let log: Log
    let metrics: Metrics
    let desk: DeliveryDesk
    private let shared = Locked(Shared())
    let wakeUp = WakeUp()

    /// So many acceptances are told at once; fewer wait for more, no longer than `linger`.
    private let plenty: Int
    private static let linger: UInt64 = 1_000_000

    // The thread's own.
    private(set) var wakeAt: UInt64?
    private var toldAt: UInt64 = 0
    private let limits: InflationLimits
    private var passive = false
    private var tags = UnsettledTags()
    private var incoming: [ReceivedEnvelope] = []
    private var generation: UInt64 = 0
    private var consumerTag = ""
    private var wasReady = false
    private var missed = false
    private var draining = false

    init(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions, configuration: RabbitMQConfiguration,
        publisher: Publisher, log: Log, metrics: Metrics
    ) {
        self.destination = destination
        self.group = group
        self.options = options
        self.publisher = publisher
        self.log = log
        self.metrics = metrics
        exchange = configuration.exchange(of: destination)
        purpose = destination.name
        desk = DeliveryDesk(destination, of: "RabbitMQ")
        plenty = max(1, options.prefetch / 4)
        limits = InflationLimits(largest: configuration.largestInflated, ratio: configuration.inflationRatio)
        topic = configuration.queueOptions(of: destination)
        topology = group.map {
            QueueTopology(
                destination: destination, group: $0, partition: options.partition, deadLetters: options.deadLetters,
                configuration: configuration)
        }
    }

    // MARK: For the binder and its callers

    /// The queue that the subscription reads at the moment; empty before the first connection.
    var queue: String { shared.withLock { $0.queue } }

    func next() async throws(BinderError) -> ReceivedEnvelope? { try await desk.next() }

    /// Hands a settlement to the thread. Throws `.unreachable` when the connection that brought the delivery is gone: it comes again.
    func command(_ command: Command, generation: UInt64) throws(BinderError) {
        let (lost, calls) = shared.withLock { shared -> (Bool, Bool) in
            guard shared.generation == generation else { return (true, false) }
            shared.commands.append(command)
            if case .requeue = command { shared.urgent = true }
            return (false, shared.urgent || shared.commands.count == 1 || shared.commands.count == plenty)
        }
        if lost { throw Self.gone }
        if calls { wakeUp.call() }
    }

    /// Throws `.unreachable` when the connection that brought a delivery is gone: it comes again.
    func demand(_ generation: UInt64) throws(BinderError) {
        guard shared.withLock({ $0.generation }) == generation else { throw Self.gone }
    }

    private static let gone = BinderError(
        .unreachable, "the connection that brought this delivery is gone: RabbitMQ delivers it again")

    /// No more deliveries; those in hand can still be settled.
    func drain() {
        shared.withLock { $0.drainAsked = true }
        wakeUp.call()
    }

    // MARK: On the connection's thread

    var hasDeadlines: Bool { false }

    func connected(_ connection: AMQPConnection) throws(AMQPFailure) {
        guard !draining else { return }
        let queue: String
        if let topology {
            queue = topology.queue
            do throws(AMQPFailure) { try topology.declare(on: connection, passively: passive) } catch {
                guard !passive, Self.lacksDeadLetters(error) else { throw error }
                log.warning(
                    "the queue exists without dead-letter arguments and is used as it is; rejected events are still kept as dead letters",
                    ["queue": queue, "remedy": "delete the queue to have it declared anew", "reason": error.text])
                try connection.reopenChannel()
                passive = true
                try topology.declare(on: connection, passively: true)
            }
        } else {
            var generator = SystemRandomNumberGenerator()
            queue = QueueTopology.anonymousName(exchange: exchange, using: &generator)
            if topic.declaresExchange { try connection.declareExchange(exchange, type: topic.exchangeType.rawValue) }
            try connection.declareQueue(
                queue, durable: false, exclusive: true, autoDelete: true, arguments: topic.limits.argumentsOfAnonymous)
            for key in topic.bindingKeys(of: destination, partition: options.partition) {
                try connection.bind(queue: queue, to: exchange, routingKey: key)
            }
        }
        tags = UnsettledTags()
        incoming = []
        consumerTag = try connection.consume(queue: queue, prefetch: options.prefetch, exclusive: false)
        generation = shared.withLock { shared in
            shared.forgetConnection()
            shared.queue = queue
            return shared.generation
        }
        if !wasReady {
            wasReady = true
            options.events(.ready)
            // RabbitMQ keeps nothing that could be replayed to a new broadcast subscription.
            if group == nil, options.start != .latest { options.events(.gap) }
        } else {
            options.events(group == nil || missed ? .gap : .resumed)
        }
        missed = false
        desk.ready()
    }

    private static func lacksDeadLetters(_ failure: AMQPFailure) -> Bool {
        failure.isConflict && failure.text.contains("'x-dead-letter-") && failure.text.contains("but current is none")
    }

    func received(_ event: AMQPEvent, on connection: AMQPConnection) throws(AMQPFailure) {
        guard case .delivered(var delivery) = event else { return }
        guard tags.add(delivery.tag) else { throw AMQPFailure(.broken, "delivery tag \(delivery.tag) out of order") }
        guard !draining else { return }
        if delivery.redelivered { delivery.attempt += 1 }
        guard delivery.isEncoded || delivery.isBatch else {
            let settlement = Settlement(subscription: self, delivery: delivery, generation: generation)
            incoming.append(ReceivedEnvelope(envelope: delivery.envelope, attempt: delivery.attempt, position: nil, settlement: settlement))
            return
        }
        let parts = ReceivedContent.parts(of: delivery, within: limits) { reason in
            log.warning(
                "an event is handed on as it came", ["destination": destination.name, "id": delivery.envelope.id, "reason": reason])
        }
        let share = BatchShare(count: parts.count)
        for part in parts {
            let settlement = Settlement(
                subscription: self, delivery: delivery, generation: generation, batch: part.record == nil ? nil : (share, part))
            incoming.append(ReceivedEnvelope(envelope: part.envelope, attempt: delivery.attempt, position: nil, settlement: settlement))
        }
    }

    func receivedAll(on connection: AMQPConnection) throws(AMQPFailure) {
        guard !incoming.isEmpty else { return }
        desk.put(incoming)
        incoming.removeAll(keepingCapacity: true)
    }

    func work(_ connection: AMQPConnection?, ending: Bool) throws(AMQPFailure) -> Bool {
        let now = Monotonic.now
        let due = toldAt + Self.linger
        let (commands, waits, drainAsked) = shared.withLock { shared -> ([Command], Bool, Bool) in
            guard ending || shared.urgent || shared.commands.count >= plenty || now >= due else {
                return ([], !shared.commands.isEmpty, shared.drainAsked)
            }
            let commands = shared.commands
            shared.commands = []
            shared.urgent = false
            return (commands, false, shared.drainAsked)
        }
        wakeAt = waits ? due : nil
        if drainAsked, !draining { try startDraining(connection) }
        guard let connection, !commands.isEmpty else { return false }
        toldAt = now
        var accepted: [UInt64] = []
        for command in commands {
            switch command {
            case .accept(let tag): if tags.done(tag) { accepted.append(tag) }
            case .requeue(let tag): if tags.told(tag) { try connection.reject(tag, requeue: true) }
            }
        }
        for acknowledgement in tags.acknowledgements(for: accepted) {
            try connection.ack(acknowledgement.tag, multiple: acknowledgement.multiple)
        }
        return true
    }

    private func startDraining(_ connection: AMQPConnection?) throws(AMQPFailure) {
        draining = true
        var untaken = desk.drain()
        guard let connection else { return }
        try connection.cancelConsumer(consumerTag)
        // Others of the group need not wait for our end to get these.
        while let delivery = untaken.popFirst() { delivery.settlement.abandon() }
    }

    func lost(_ failure: AMQPFailure) {
        metrics.count("carillon_rabbitmq_lost_total", ["connection": "subscribe"], help: "Connections that were lost or could not be made.")
        if failure.cause == .cancelled || failure.cause == .reply(404) { missed = true }
        incoming = []
        let error = failure.binderError
        shared.withLock { $0.forgetConnection() }
        desk.discard()
        if desk.interrupt(error.message) { options.events(.interrupted(error.message)) }
        if failure.isConflict { desk.fail(error) }
    }

    func ended() {
        shared.withLock { $0.forgetConnection() }
        desk.close()
    }
}
