package import Streams
import ThreadExecutor

/// RabbitMQ does not tell which queues belong to an exchange: with a destination go the groups that this binder has declared itself.
extension RabbitMQBinder: DestinationRemoving {
    package func remove(_ destination: Destination) async throws(BinderError) {
        let queues = knownQueues(of: destination)
        let exchange = configuration.exchange(of: destination)
        try await administer { connection throws(AMQPFailure) in
            // The exchange first: a member whose queue is gone declares both anew.
            try connection.deleteExchange(exchange)
            for queue in queues { try Self.delete(queue, on: connection) }
        }
    }

    package func remove(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        let queue = QueueTopology(
            destination: destination, group: group, partition: nil, deadLetters: true, configuration: configuration
        ).base
        try await administer { connection throws(AMQPFailure) in try Self.delete(queue, on: connection) }
    }

    /// The group's queue, those of its partitions, and that of its dead letters.
    private static func delete(_ queue: String, on connection: AMQPConnection) throws(AMQPFailure) {
        try connection.deleteQueue(queue)
        try connection.deleteQueue(queue + ".dlq")
        for partition in 0... {
            let name = "\(queue)-\(partition)"
            do throws(AMQPFailure) { try connection.declareQueue(name, durable: true, passive: true) } catch {
                guard error.cause == .reply(404) else { throw error }
                return try connection.reopenChannel()
            }
            try connection.deleteQueue(name)
        }
    }

    /// On a connection and thread of their own: a refusal closes the channel.
    private func administer(_ body: @escaping @Sendable (AMQPConnection) throws(AMQPFailure) -> Void) async throws(BinderError) {
        let configuration = configuration
        let executor = ThreadExecutor(name: "amqp-admin")
        defer { executor.stop() }
        do {
            try await executor.run {
                let connection = try AMQPConnection(
                    configuration, address: configuration.addresses[0], purpose: "remove", socket: SocketGuard())
                defer { connection.close() }
                try body(connection)
            }
        } catch let failure as AMQPFailure { throw failure.binderError } catch { throw BinderError(.unreachable, "\(error)") }
    }
}
