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
    private enum Phase {
        case starting(String)
        case ready
        case interrupted(String)
        case failed(BinderError)
        case draining
        case closed
    }
    private typealias Waiter = CheckedContinuation<Result<ReceivedEnvelope?, BinderError>, Never>
    private struct Shared {
        var phase = Phase.starting("not connected to RabbitMQ yet")
        var buffer = FIFO<ReceivedEnvelope>()
        var waiter: Waiter?
        var positioned: [UInt64: CheckedContinuation<BinderError?, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var commands: [Command] = []
        /// One of the commands does not wait for others.
        var urgent = false
        /// Counts connections: a delivery of an earlier one can no longer be settled.
        var generation: UInt64 = 0
        var queue = ""
        var drainAsked = false
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

    var readiness: Readiness {
        shared.withLock { shared in
            switch shared.phase {
            case .ready, .draining, .closed: .ready
            case .starting(let reason), .interrupted(let reason): .waiting("\(destination): \(reason)")
            case .failed(let error): .waiting("\(destination): \(error.message)")
            }
        }
    }

    /// The queue that the subscription reads at the moment; empty before the first connection.
    var queue: String { shared.withLock { $0.queue } }

    /// Waits until the broker has said that the consumer stands. Throws what makes that impossible, or `.cancelled`.
    func positioned() async throws(BinderError) {
        let id = shared.withLock { shared in
            shared.nextWaiter += 1
            return shared.nextWaiter
        }
        let error: BinderError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = shared.withLock { shared -> BinderError?? in
                    switch shared.phase {
                    case .ready: return .some(nil)
                    case .failed(let error): return error
                    case .draining, .closed: return BinderError(.closed, "the RabbitMQ binder is closed")
                    case .starting, .interrupted:
                        if Task.isCancelled { return BinderError(.cancelled, "the subscription was cancelled") }
                        shared.positioned[id] = continuation
                        return .none
                    }
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = shared.withLock { $0.positioned.removeValue(forKey: id) }
            waiter?.resume(returning: BinderError(.cancelled, "the subscription was cancelled"))
        }
        if let error { throw error }
    }

    func next() async throws(BinderError) -> ReceivedEnvelope? {
        if let early = shared.withLock({ Self.immediate(&$0) }) { return try early.get() }
        let result: Result<ReceivedEnvelope?, BinderError> = await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                let early = shared.withLock { shared -> Result<ReceivedEnvelope?, BinderError>? in
                    if let early = Self.immediate(&shared) { return early }
                    if Task.isCancelled { return .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")) }
                    shared.waiter = waiter
                    return nil
                }
                if let early { waiter.resume(returning: early) }
            }
        } onCancel: {
            takeWaiter()?.resume(returning: .failure(BinderError(.cancelled, "waiting for a delivery was cancelled")))
        }
        return try result.get()
    }

    private static func immediate(_ shared: inout Shared) -> Result<ReceivedEnvelope?, BinderError>? {
        switch shared.phase {
        case .failed(let error): .failure(error)
        case .draining: .success(nil)
        case .closed: .success(nil)
        case .starting, .ready, .interrupted: shared.buffer.popFirst().map { .success($0) }
        }
    }

    private func takeWaiter() -> Waiter? {
        shared.withLock { shared in
            let waiter = shared.waiter
            shared.waiter = nil
            return waiter
        }
    }

    /// Hands a settlement to the thread. Throws `.unreachable` when the connection that brought the delivery is gone: it comes again.
    func command(_ command: Command, generation: UInt64) throws(BinderError) {
        let (lost, calls) = shared.withLock { shared -> (Bool, Bool) in
            guard Self.holds(shared, generation) else { return (true, false) }
            shared.commands.append(command)
            if case .requeue = command { shared.urgent = true }
            return (false, shared.urgent || shared.commands.count == 1 || shared.commands.count == plenty)
        }
        if lost { throw Self.gone }
        if calls { wakeUp.call() }
    }

    /// Throws `.unreachable` when the connection that brought a delivery is gone: it comes again.
    func demand(_ generation: UInt64) throws(BinderError) {
        guard shared.withLock({ Self.holds($0, generation) }) else { throw Self.gone }
    }

    private static func holds(_ shared: Shared, _ generation: UInt64) -> Bool {
        switch shared.phase {
        case .ready, .draining: shared.generation == generation
        default: false
        }
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
        let (current, waiters) = shared.withLock { shared in
            shared.generation += 1
            shared.phase = .ready
            shared.queue = queue
            shared.commands = []
            shared.urgent = false
            let waiters = Array(shared.positioned.values)
            shared.positioned = [:]
            return (shared.generation, waiters)
        }
        generation = current
        if !wasReady {
            wasReady = true
            options.events(.ready)
            // RabbitMQ keeps nothing that could be replayed to a new broadcast subscription.
            if group == nil, options.start != .latest { options.events(.gap) }
        } else {
            options.events(group == nil || missed ? .gap : .resumed)
        }
        missed = false
        for waiter in waiters { waiter.resume(returning: nil) }
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
        let arrived = incoming
        incoming.removeAll(keepingCapacity: true)
        let (waiter, first) = shared.withLock { shared -> (Waiter?, ReceivedEnvelope?) in
            shared.buffer.append(contentsOf: arrived)
            guard let waiter = shared.waiter, let first = shared.buffer.popFirst() else { return (nil, nil) }
            shared.waiter = nil
            return (waiter, first)
        }
        waiter?.resume(returning: .success(first))
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
        let (waiter, positioned, untaken) = shared.withLock { shared in
            let result = (shared.waiter, Array(shared.positioned.values), shared.buffer)
            shared.waiter = nil
            shared.positioned = [:]
            shared.buffer = FIFO()
            shared.phase = .draining
            return result
        }
        waiter?.resume(returning: .success(nil))
        for waiter in positioned { waiter.resume(returning: BinderError(.closed, "the RabbitMQ binder is closed")) }
        guard let connection else { return }
        try connection.cancelConsumer(consumerTag)
        // Others of the group need not wait for our end to get these.
        var rest = untaken
        while let delivery = rest.popFirst() { delivery.settlement.abandon() }
    }

    func lost(_ failure: AMQPFailure) {
        metrics.count("carillon_rabbitmq_lost_total", ["connection": "subscribe"], help: "Connections that were lost or could not be made.")
        if failure.cause == .cancelled || failure.cause == .reply(404) { missed = true }
        incoming = []
        let error = failure.binderError
        let (wasReady, waiter, positioned) = shared.withLock { shared -> (Bool, Waiter?, [CheckedContinuation<BinderError?, Never>]) in
            let wasReady = if case .ready = shared.phase { true } else { false }
            shared.buffer.removeAll()  // not settled: the broker delivers them again
            shared.commands = []
            shared.urgent = false
            shared.generation += 1
            switch shared.phase {
            case .draining, .closed, .failed: break
            default:
                if failure.isConflict {
                    shared.phase = .failed(error)
                    let result = (wasReady, shared.waiter, Array(shared.positioned.values))
                    shared.waiter = nil
                    shared.positioned = [:]
                    return result
                }
                if case .starting = shared.phase {
                    shared.phase = .starting(error.message)
                } else {
                    shared.phase = .interrupted(error.message)
                }
            }
            return (wasReady, nil, [])
        }
        if wasReady { options.events(.interrupted(error.message)) }
        waiter?.resume(returning: .failure(error))
        for waiter in positioned { waiter.resume(returning: error) }
    }

    func ended() {
        let (waiter, positioned) = shared.withLock { shared in
            let result = (shared.waiter, Array(shared.positioned.values))
            shared.waiter = nil
            shared.positioned = [:]
            shared.buffer.removeAll()
            shared.generation += 1
            shared.phase = .closed
            return result
        }
        waiter?.resume(returning: .success(nil))
        for waiter in positioned { waiter.resume(returning: BinderError(.closed, "the RabbitMQ binder is closed")) }
    }
}
