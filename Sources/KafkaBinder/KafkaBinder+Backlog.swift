import CRDKafka
package import Streams
import Telemetry

/// What the brokers know: how far the group has committed, what it says beside that (see `OffsetNotes`), and where the topic ends.
extension KafkaBinder: BacklogReporting {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        return try await ask { [configuration] admin throws(BinderError) in
            var backlog = try BacklogQuestion(names, configuration).ask(admin)
            do throws(KafkaFailure) { backlog.dead = try admin.deadLetterCount(names) } catch { throw error.binderError }
            return backlog
        }
    }

    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        let configuration = configuration
        do throws(BinderError) {
            return try await ask { admin in
                var known = KnownPartitions()
                return BacklogQuestion(groups, configuration).ask(admin, &known)
            }
        } catch {
            return groups.reduce(into: [:]) { $0[$1] = .failure(error) }
        }
    }
}

extension KafkaBinder: PositionTelling {
    package func latestPosition(of destination: Destination) async throws(BinderError) -> String? {
        let names = try KafkaNames(destination, nil, configuration.groupNaming)
        return try await ask { [configuration] admin throws(BinderError) in
            do throws(KafkaFailure) {
                let wanted = configuration.partitions[names.topic] ?? configuration.defaultPartitions
                let count = try admin.ensure([(names.topic, wanted)])[0]
                let ends = try admin.offsets(.latest, of: (0..<Int32(count)).map { TopicPartition(topic: names.topic, partition: $0) })
                return KafkaPosition(offsets: Dictionary(uniqueKeysWithValues: ends.map { ($0.partition, $1 - 1) })).text
            } catch { throw error.binderError }
        }
    }
}

extension KafkaAdmin {
    func deadLetterCount(_ names: KafkaNames) throws(KafkaFailure) -> Int {
        guard let letters = try partitions(of: names.deadLetters) else { return 0 }
        let dead = (0..<Int32(letters)).map { TopicPartition(topic: names.deadLetters, partition: $0) }
        let (low, high) = (try offsets(.earliest, of: dead), try offsets(.latest, of: dead))
        return dead.reduce(0) { $0 + Int(max(0, (high[$1] ?? 0) - (low[$1] ?? 0))) }
    }

    /// Makes a topic of ours that is missing, whatever the configuration says of those of others.
    func provide(_ topic: String, partitions: Int) throws(KafkaFailure) {
        if try self.partitions(of: topic) != nil { return }
        try create([(topic, partitions)])
    }
}
