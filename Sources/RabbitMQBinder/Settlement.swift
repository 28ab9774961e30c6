import Streams
import Telemetry

/// How one delivery from RabbitMQ ends.
///
/// An acceptance is handed to the connection's thread, which tells the broker in its next turn, many at once. A retry or a dead letter is a copy,
/// published and confirmed before the original is acknowledged: nothing is lost when the process dies in between, at the cost of a duplicate.
struct Settlement: DeliverySettlement {
    let subscription: Subscription
    let delivery: AMQPDelivery
    let generation: UInt64
    /// For one message of several in a body.
    var batch: (share: BatchShare, part: ReceivedContent.Part)?
    /// Spring keeps this much of a frame free for what it does not count.
    private static let headroom = 20_000
    private static let frame = 131_072

    func abandon() {
        if let share = batch?.share, share.settle(handedBack: true) == nil { return }
        try? subscription.command(.requeue(delivery.tag), generation: generation)  // a lost connection gives it back by itself
    }

    /// The delivery is done with, and the broker is told when the whole message is.
    private func finish() throws(BinderError) {
        guard let share = batch?.share else { return try subscription.command(.accept(delivery.tag), generation: generation) }
        switch share.settle(handedBack: false) {
        case nil: try subscription.demand(generation)
        case false?: try subscription.command(.accept(delivery.tag), generation: generation)
        case true?: try subscription.command(.requeue(delivery.tag), generation: generation)
        }
    }

    private var envelope: Envelope { batch?.part.envelope ?? delivery.envelope }

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {
        switch outcome {
        case .accept: try finish()
        case .retry(let delay): try await copy(retry(after: delay))
        case .reject(let reason):
            guard let topology = subscription.topology, topology.deadLetters else {
                subscription.metrics.count(
                    "carillon_rejected_dropped_total", ["destination": subscription.destination.name],
                    help: "Rejected deliveries that no dead-letter queue keeps.")
                subscription.log.warning(
                    "a rejected event is dropped: its subscription keeps no dead letters",
                    ["destination": subscription.destination.name, "id": envelope.id])
                try finish()
                return
            }
            try await copy((deadLetter(reason, topology), .deadLetters(topology)))
            subscription.metrics.count(
                "carillon_dead_letters_total", ["destination": subscription.destination.name],
                help: "Rejected deliveries that were kept as dead letters.")
        }
    }

    /// Publishes the copy, then acknowledges the original; without a confirm the original goes back to the queue.
    private func copy(_ copy: (message: OutgoingMessage, declaration: Declaration?)) async throws(BinderError) {
        do {
            try await subscription.publisher.send(copy.message, declaring: copy.declaration)
        } catch  where error.code == .unroutable && copy.declaration != nil {
            // Somebody deleted the queue or its binding since it was declared: once more, with a fresh declaration.
            do throws(BinderError) {
                try await subscription.publisher.send(nil, declaring: copy.declaration)
                try await subscription.publisher.send(copy.message, declaring: copy.declaration)
            } catch {
                abandon()
                throw error
            }
        } catch {
            abandon()
            throw error
        }
        try finish()
    }

    private func retry(after delay: Duration) -> (OutgoingMessage, Declaration?) {
        let queue = subscription.queue
        var changes: [(name: String, value: HeaderValue?)] = [
            (MessageProperties.attempt, .integer(Int64(delivery.attempt + 1))), (MessageProperties.exchange, .string(delivery.exchange)),
            (MessageProperties.routingKey, .string(delivery.routingKey)),
        ]
        // The broker counts a message's deaths to break loops; each delay is a life of its own.
        for name in MessageProperties.traces where delivery.attempt > 1 { changes.append((name, nil)) }
        let step = DelayStep.milliseconds(for: delay)
        let target = step.map { Declaration.delayQueue(queue, milliseconds: $0) } ?? queue
        let declaration = step.map { Declaration.delay(queue: queue, milliseconds: $0, durable: subscription.group != nil) }
        return (message(to: "", key: target, changes: changes, withoutTimestamp: false), declaration)
    }

    private func deadLetter(_ reason: FailureReason, _ topology: QueueTopology) -> OutgoingMessage {
        let count = delivery.envelope.headers["retry-count"]?.integer ?? 0
        var changes: [(name: String, value: HeaderValue?)] = [
            ("retry-count", .integer(count &+ 1)), ("x-original-exchange", .string(delivery.exchange)),
            ("x-original-routingKey", .string(delivery.routingKey)), (MessageProperties.attempt, nil), (MessageProperties.exchange, nil),
            (MessageProperties.routingKey, nil), (MessageProperties.attempts, .integer(Int64(delivery.attempt))),
            (MessageProperties.kind, .string(reason.kind.cut(toUTF8: 255))),
            (MessageProperties.rejected, .integer(Timestamp.now.milliseconds)),
        ]
        let room = max(
            512, Self.frame - Self.headroom - delivery.properties.count - delivery.exchange.utf8.count - delivery.routingKey.utf8.count)
        let message = reason.message.cut(toUTF8: room / 4)
        changes.append(("x-exception-message", .string(message)))
        changes.append(("x-exception-stacktrace", .string("\(reason.kind): \(reason.message)".cut(toUTF8: room - message.utf8.count))))
        return self.message(
            to: topology.deadLetterExchange, key: topology.deadLetterRoutingKey, changes: changes, withoutTimestamp: true)
    }

    private func message(
        to exchange: String, key: String, changes: [(name: String, value: HeaderValue?)], withoutTimestamp: Bool
    ) -> OutgoingMessage {
        var changes = changes
        changes.append((MessageProperties.deliveries, nil))
        // A message alone is copied as it came, compressed where it was; one out of a batch is not what came.
        if batch != nil { changes += [(SpringBatch.header, nil), (SpringBatch.decompressHeader, nil)] }
        return OutgoingMessage(
            exchange: exchange, routingKey: key, mandatory: true, messageID: envelope.id,
            properties: .copy(
                delivery.properties, changes: changes, withoutTimestamp: withoutTimestamp, record: batch?.part.record),
            body: batch?.part.envelope.payload ?? delivery.envelope.payload)
    }
}

extension String {
    /// At most this many bytes, cut between characters.
    func cut(toUTF8 limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var text = ""
        var size = 0
        for character in self {
            size += character.utf8.count
            if size > limit { break }
            text.append(character)
        }
        return text
    }
}
