import CRDKafka
package import Streams
import Telemetry

/// What the brokers know: how far the group has committed, what it says beside that (see `OffsetNotes`), and where the topic ends.
extension KafkaBinder: BacklogReporting {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let names = try KafkaNames(destination, group, configuration.groupNaming)
        return try await ask { admin throws(BinderError) in
            do throws(KafkaFailure) { return try admin.backlog(names) } catch {
                if error.isUnknownTopic { throw BinderError(.invalid, "there is no topic \(names.topic) on Kafka") }
                throw error.binderError
            }
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
    /// Counts offsets: what compaction has removed, and marks of transactions, count as events.
    func backlog(_ names: KafkaNames) throws(KafkaFailure) -> Backlog {
        guard let count = try partitions(of: names.topic) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "there is no topic \(names.topic)")
        }
        var places = (0..<Int32(count)).map { TopicPartition(topic: names.topic, partition: $0) }
        if let retries = try partitions(of: names.retries) {
            places += (0..<Int32(retries)).map { TopicPartition(topic: names.retries, partition: $0) }
        }
        let committed = try committed(by: names.groupID, of: places)
        let members = try members(of: names.groupID)
        let mine = Set(places)
        let active = members.count { $0.isEmpty ? names.groupID != names.group : !$0.isDisjoint(with: mine) }
        guard active > 0 || committed.contains(where: { $0.offset >= 0 && $0.place.topic == names.topic }) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, "there is no group \(names.group ?? "") of \(names.topic)")
        }
        let (first, end) = (try offsets(.earliest, of: places), try offsets(.latest, of: places))
        var backlog = Backlog(ready: 0, inHand: 0, delayed: 0, dead: 0, members: active)
        let now = Timestamp.now.milliseconds
        for one in committed {
            // Where the group has committed nothing it begins at the begin; what retention took away is nobody's work.
            let low = first[one.place] ?? 0
            let at = max(one.offset, low)
            let all = Int(max(0, (end[one.place] ?? 0) - at))
            let notes = one.offset >= low ? OffsetNotes(base: one.offset, text: one.notes).count(now: now) : (0, 0, 0)
            let left = max(0, all - notes.0)
            backlog.inHand = (backlog.inHand ?? 0) + min(notes.1, left)
            backlog.delayed = (backlog.delayed ?? 0) + min(notes.2, max(0, left - notes.1))
            backlog.ready += max(0, left - notes.1 - notes.2)
        }
        if let letters = try partitions(of: names.deadLetters) {
            let dead = (0..<Int32(letters)).map { TopicPartition(topic: names.deadLetters, partition: $0) }
            let (low, high) = (try offsets(.earliest, of: dead), try offsets(.latest, of: dead))
            backlog.dead = dead.reduce(0) { $0 + Int(max(0, (high[$1] ?? 0) - (low[$1] ?? 0))) }
        }
        return backlog
    }

    /// Makes a topic of ours that is missing, whatever the configuration says of those of others.
    func provide(_ topic: String, partitions: Int) throws(KafkaFailure) {
        if try self.partitions(of: topic) != nil { return }
        try create([(topic, partitions)])
    }
}
