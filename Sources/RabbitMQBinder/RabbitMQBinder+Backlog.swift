package import Streams

extension RabbitMQBinder: BacklogReporting {
    /// As the broker tells it to a client: events ready and members of the group's queues, and its dead letters. What members have in hand and
    /// what waits for a retry only RabbitMQ's management API knows; it is nil.
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let parts = topologies(of: destination, group: group)
        return try await inspection.run { connection throws(AMQPFailure) in
            try Inspection.backlog(parts, on: connection)
        } missing: {
            BinderError(.invalid, "\(destination) has no group \(group) on RabbitMQ")
        }
    }

    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        await inspection.backlogs(of: groups, configuration, note: nil)
    }
}

extension Inspection {
    /// Queue by queue, in one go on the one connection. `note` says why it is done so.
    func backlogs(
        of groups: Set<DestinationGroup>, _ configuration: RabbitMQConfiguration, note: String?
    ) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        let asked = groups.map { ($0, QueueTopology.all(of: $0.destination, group: $0.group, configuration)) }
        do throws(BinderError) {
            return try await run { connection throws(AMQPFailure) in
                var all: [DestinationGroup: Result<Backlog, BinderError>] = [:]
                for (group, parts) in asked {
                    do throws(AMQPFailure) {
                        var backlog = try Self.backlog(parts, on: connection, withDead: false)
                        backlog.note = ["what workers have in hand or retry later is not counted", note].compactMap { $0 }.joined(
                            separator: ": ")
                        all[group] = .success(backlog)
                    } catch {
                        guard case .reply(let code) = error.cause, code == 404 || code == 405 || code == 403 else { throw error }
                        try connection.reopenChannel()
                        all[group] = .failure(
                            code == 404
                                ? BinderError(
                                    .invalid, "\(group.destination) has no group \(group.group) on RabbitMQ; a member or `prepare` makes it"
                                )
                                : error.binderError)
                    }
                }
                return all
            } missing: {
                BinderError(.invalid, "RabbitMQ has no such queue")
            }
        } catch {
            return groups.reduce(into: [:]) { $0[$1] = .failure(error) }
        }
    }

    static func backlog(
        _ parts: [QueueTopology], on connection: AMQPConnection, withDead: Bool = true
    ) throws(AMQPFailure) -> Backlog {
        var ready = 0
        var members = 0
        for part in parts {
            let counts = try connection.declareQueue(part.queue, durable: true, passive: true)
            ready += counts.ready
            members += counts.consumers
        }
        var dead: Int?
        do throws(AMQPFailure) {
            if withDead { dead = try connection.declareQueue(parts[0].deadLetterQueue, durable: true, passive: true).ready }
        } catch {
            guard error.cause == .reply(404) else { throw error }
            try connection.reopenChannel()  // the group keeps no dead letters
        }
        return Backlog(
            ready: ready, inHand: nil, delayed: nil, dead: dead, members: members, partitions: parts.count > 1 ? parts.count : nil)
    }
}
