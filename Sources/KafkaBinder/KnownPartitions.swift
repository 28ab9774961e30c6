import CRDKafka
import Glibc

/// How many partitions topics have, kept for a while: they seldom change, and each question costs a request.
struct KnownPartitions {
    private struct Entry {
        /// Nil: there is no such topic.
        var count: Int?
        var seen: UInt64
    }
    /// More topics than that are looked up by one question for all of the cluster.
    static let single = 8
    private static let lifetime: UInt64 = 60_000_000_000
    /// One that was not there may come at any time.
    private static let missingLifetime: UInt64 = 10_000_000_000
    private var entries: [String: Entry] = [:]

    /// Nil: there is no such topic, or nobody asked.
    subscript(topic: String) -> Int? { entries[topic]?.count }

    /// Looks for those that are not known, or were looked for long ago. What is no longer asked for is forgotten.
    mutating func look(for topics: Set<String>, by admin: KafkaAdmin) throws(KafkaFailure) {
        let now = Monotonic.now
        entries = entries.filter { topic, entry in
            topics.contains(topic) && entry.seen + (entry.count == nil ? Self.missingLifetime : Self.lifetime) > now
        }
        let open = topics.filter { entries[$0] == nil }
        guard open.count > Self.single else {
            for topic in open { entries[topic] = Entry(count: try admin.partitions(of: topic), seen: now) }
            return
        }
        let all = try admin.partitionsOfAll()
        for topic in open { entries[topic] = Entry(count: all[topic], seen: now) }
    }

    /// Something is no longer as it was: look again the next time.
    mutating func forgetAll() { entries = [:] }
}

extension KafkaAdmin {
    /// All topics of the cluster, but for those whose partitions have no leaders yet.
    func partitionsOfAll() throws(KafkaFailure) -> [String: Int] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.raw, 1, nil, &metadata, Int32(limit.milliseconds))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw KafkaFailure(code, doing: "looking for topics") }
        defer { rd_kafka_metadata_destroy(metadata) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            guard let topic = metadata.pointee.topics?[index], let name = topic.topic, topic.err == RD_KAFKA_RESP_ERR_NO_ERROR,
                topic.partition_cnt > 0
            else { continue }
            let hasLeaders = (0..<Int(topic.partition_cnt)).allSatisfy {
                topic.partitions[$0].leader >= 0 || topic.partitions[$0].err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
            }
            if hasLeaders { counts[String(cString: name)] = Int(topic.partition_cnt) }
        }
        return counts
    }

    /// The partitions that each member of each group has, none for a group that nobody has joined, by one request for each coordinator.
    func members(ofEach groups: [String]) throws(KafkaFailure) -> [String: Result<[Set<TopicPartition>], KafkaFailure>] {
        guard !groups.isEmpty else { return [:] }
        let copies = groups.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        var names: [UnsafePointer<CChar>?] = copies.map { UnsafePointer($0) }
        return try request("asking for members of groups", RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS) { options, queue in
            rd_kafka_DescribeConsumerGroups(handle.raw, &names, names.count, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event), &count)
            var all: [String: Result<[Set<TopicPartition>], KafkaFailure>] = [:]
            for index in 0..<count {
                guard let description = results?[index], let name = rd_kafka_ConsumerGroupDescription_group_id(description) else {
                    continue
                }
                let group = String(cString: name)
                if let error = rd_kafka_ConsumerGroupDescription_error(description),
                    rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR
                {
                    all[group] = .failure(KafkaFailure(rd_kafka_error_code(error), doing: "asking for members of group \(group)"))
                    continue
                }
                let members = (0..<rd_kafka_ConsumerGroupDescription_member_count(description)).map { index in
                    let member = rd_kafka_ConsumerGroupDescription_member(description, index)
                    let assignment = rd_kafka_MemberDescription_assignment(member)
                    return Set(PartitionOffset.read(rd_kafka_MemberAssignment_partitions(assignment)).map(\.place))
                }
                all[group] = .success(members)
            }
            return all
        }
    }
}
