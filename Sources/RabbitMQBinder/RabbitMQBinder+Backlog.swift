package import Streams

extension RabbitMQBinder: BacklogReporting {
    /// As the broker tells it to a client: events ready and members of the group's queues, and its dead letters. What members have in hand and
    /// what waits for a retry only RabbitMQ's management API knows; it is nil.
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let parts = topologies(of: destination, group: group)
        return try await inspection.run { connection throws(AMQPFailure) in
            var ready = 0
            var members = 0
            for part in parts {
                let counts = try connection.declareQueue(part.queue, durable: true, passive: true)
                ready += counts.ready
                members += counts.consumers
            }
            var dead: Int?
            do throws(AMQPFailure) {
                dead = try connection.declareQueue(parts[0].deadLetterQueue, durable: true, passive: true).ready
            } catch {
                guard error.cause == .reply(404) else { throw error }
                try connection.reopenChannel()  // the group keeps no dead letters
            }
            return Backlog(ready: ready, inHand: nil, delayed: nil, dead: dead, members: members)
        } missing: {
            BinderError(.invalid, "\(destination) has no group \(group) on RabbitMQ")
        }
    }
}
