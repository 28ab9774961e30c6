package import Streams
import ThreadExecutor

extension RabbitMQBinder: DeadLetterKeeping {
    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        let limits = InflationLimits(largest: configuration.largestInflated, ratio: configuration.inflationRatio)
        return try await visit(destination, group, limit: limit) { _, deliveries in
            deliveries.map { Self.letter($0, within: limits) }
        }
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let chosen = ids.map(Set.init)
        let limit = configuration.publishLimit
        let topology = topology(of: destination, group: group, partition: nil)
        return try await visit(destination, group, limit: .max) { connection, deliveries throws(AMQPFailure) in
            try connection.selectConfirms()
            let wanted = deliveries.filter { chosen?.contains($0.envelope.id) ?? true }
            let changes = (MessageProperties.failure + MessageProperties.traces).map { (name: $0, value: HeaderValue?.none) }
            for delivery in wanted {
                guard
                    var properties = MessageProperties.copy(
                        delivery.properties, changes: changes, withoutTimestamp: false, in: connection.arena)
                else { throw AMQPFailure(.broken, "properties of a dead letter") }
                defer { connection.arena.recycle() }
                // A dead letter's routing key is the queue that it came from, unless the options say another.
                try connection.publish(
                    exchange: "", routingKey: topology.origin(ofLetterBy: delivery.routingKey), mandatory: true, properties: &properties,
                    body: delivery.envelope.payload)
            }
            let taken = try Self.confirmed(wanted.count, on: connection, within: limit)
            for tag in taken.sorted() { try connection.ack(wanted[Int(tag) - 1].tag, multiple: false) }
            return taken.count
        }
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let chosen = ids.map(Set.init)
        return try await visit(destination, group, limit: .max) { connection, deliveries throws(AMQPFailure) in
            let wanted = deliveries.filter { chosen?.contains($0.envelope.id) ?? true }
            for delivery in wanted { try connection.ack(delivery.tag, multiple: false) }
            return wanted.count
        }
    }

    /// Takes up to `limit` dead letters in hand on a connection and thread of their own; what `body` does not acknowledge goes back to its place.
    private func visit<R: Sendable>(
        _ destination: Destination, _ group: ConsumerGroup, limit: Int,
        _ body: @escaping @Sendable (AMQPConnection, [AMQPDelivery]) throws(AMQPFailure) -> R
    ) async throws(BinderError) -> R {
        let topology = topology(of: destination, group: group, partition: nil)
        let configuration = configuration
        let executor = ThreadExecutor(name: "amqp-letters")
        defer { executor.stop() }
        do {
            return try await executor.run {
                let connection = try AMQPConnection(
                    configuration, address: configuration.addresses[0], purpose: "dead letters", socket: SocketGuard())
                defer { connection.close() }
                let waiting = try connection.declareQueue(topology.deadLetterQueue, durable: true, passive: true).ready
                let count = min(waiting, limit, Int(UInt16.max))
                guard count > 0 else { return try body(connection, []) }
                _ = try connection.consume(queue: topology.deadLetterQueue, prefetch: count, exclusive: false)
                return try body(connection, try Self.collect(count, on: connection))
            }
        } catch let failure as AMQPFailure {
            guard failure.cause != .reply(404) else {
                throw BinderError(.invalid, "\(destination) has no group \(group) that keeps dead letters")
            }
            throw failure.binderError
        } catch {
            throw BinderError(.unreachable, "\(error)")
        }
    }

    /// The deliveries that come within a second after the last one, at most `count`: another reader may be faster.
    private static func collect(_ count: Int, on connection: AMQPConnection) throws(AMQPFailure) -> [AMQPDelivery] {
        var deliveries: [AMQPDelivery] = []
        try connection.wait(within: .seconds(1)) { event in
            if case .delivered(let delivery) = event { deliveries.append(delivery) }
            return deliveries.count >= count
        }
        return deliveries
    }

    /// Which of the publishes 1 to `count` the broker has taken.
    private static func confirmed(_ count: Int, on connection: AMQPConnection, within limit: Duration) throws(AMQPFailure) -> Set<UInt64> {
        var open = Set(1...UInt64(max(1, count)))
        if count == 0 { return [] }
        var taken: Set<UInt64> = []
        var returned = 0
        try connection.wait(within: limit) { event in
            switch event {
            case .confirmed(let tag, let multiple):
                let these = multiple ? open.filter { $0 <= tag } : open.intersection([tag])
                open.subtract(these)
                taken.formUnion(these)
            case .refused(let tag, let multiple): open.subtract(multiple ? open.filter { $0 <= tag } : [tag])
            case .returned: returned += 1
            default: break
            }
            return open.isEmpty
        }
        guard returned == 0 else { throw AMQPFailure(.broken, "the queue that \(returned) dead letters came from is gone") }
        return taken
    }

    private static func letter(_ delivery: AMQPDelivery, within limits: InflationLimits) -> DeadLetter {
        let headers = delivery.envelope.headers
        // Of a whole batch that the broker itself has dead-lettered there is one letter, shown as it is.
        let parts = ReceivedContent.parts(of: delivery, within: limits)
        var envelope = parts.count == 1 ? parts[0].envelope : delivery.envelope
        for name in MessageProperties.failure { envelope.headers[name] = nil }
        for name in MessageProperties.traces { envelope.headers[name] = nil }
        let reason = FailureReason(
            message: headers["x-exception-message"]?.text ?? headers["x-first-death-reason"]?.text ?? "",
            kind: headers[MessageProperties.kind]?.text ?? "error")
        return DeadLetter(
            id: envelope.id, envelope: envelope, reason: reason, attempts: Int(clamping: headers[MessageProperties.attempts]?.integer ?? 1),
            time: headers[MessageProperties.rejected]?.integer ?? delivery.envelope.timestamp ?? 0)
    }
}
