import CRDKafka
import Glibc
import Streams

/// Questions and orders about topics and groups. Every call blocks until the answer is there or its time is over: only on threads of our own.
final class KafkaAdmin: Sendable {
    let handle: KafkaHandle
    private let configuration: KafkaConfiguration
    var limit: Duration { configuration.requestLimit }

    init(_ configuration: KafkaConfiguration) throws(BinderError) {
        self.configuration = configuration
        handle = try KafkaHandle(RD_KAFKA_CONSUMER, configuration.inspector, route: configuration.route)
    }

    /// Whether any broker answers within the limit.
    func answers(within limit: Duration) -> Bool { handle.answers(within: limit) }

    // MARK: Topics

    /// How long a topic that was removed stays away before it is made again: Kafka's readers do not tell one from the other of the same name, and
    /// would read on in the new one where they stood in the old.
    static let noticeTime = Duration.seconds(1)

    /// How many partitions a topic has; nil: it does not exist, or its partitions have no leaders yet.
    func partitions(of topic: String) throws(KafkaFailure) -> Int? {
        guard let known = KafkaTopic(topic, on: handle) else { throw KafkaFailure(rd_kafka_last_error(), doing: "topic \(topic)") }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.raw, 0, known.raw, &metadata, Int32(limit.milliseconds))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw KafkaFailure(code, doing: "looking for topic \(topic)") }
        defer { rd_kafka_metadata_destroy(metadata) }
        guard metadata.pointee.topic_cnt > 0, let found = metadata.pointee.topics?.pointee else { return nil }
        let failure = KafkaFailure(found.err, doing: "topic \(topic)")
        if failure.isUnknownTopic || found.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE { return nil }
        guard found.err == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure }
        let count = Int(found.partition_cnt)
        for index in 0..<count
        where found.partitions[index].leader < 0 && found.partitions[index].err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE {
            return nil
        }
        return count == 0 ? nil : count
    }

    /// Creates what is missing where the configuration allows it, and returns how many partitions each topic has.
    func ensure(_ topics: [(name: String, partitions: Int)]) throws(KafkaFailure) -> [Int] {
        var counts: [Int?] = []
        for topic in topics { counts.append(try partitions(of: topic.name)) }
        let missing = zip(topics, counts).filter { $0.1 == nil }.map { $0.0 }
        if !missing.isEmpty {
            guard configuration.createsTopics else {
                throw KafkaFailure(
                    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "the topic \(missing[0].name) does not exist, and none is to be created")
            }
            try create(missing)
        }
        var result: [Int] = []
        for (topic, known) in zip(topics, counts) {
            var count: Int
            if let known { count = known } else { count = try settled(topic.name) }
            if count < topic.partitions, configuration.addsPartitions, known != nil {
                do { try addPartitions(topic.name, total: topic.partitions) } catch {
                    // Somebody else may have added them meanwhile.
                    guard error.code == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, try settled(topic.name, atLeast: topic.partitions) else {
                        throw error
                    }
                }
                count = topic.partitions
            }
            result.append(count)
        }
        return result
    }

    /// Brokers tell of a new topic a moment after it was made.
    private func settled(_ topic: String) throws(KafkaFailure) -> Int {
        let end = Monotonic.now + limit.nanoseconds
        repeat {
            if let count = try partitions(of: topic) { return count }
            usleep(10_000)  // between two looks, on a thread for questions
        } while Monotonic.now < end
        throw KafkaFailure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "the topic \(topic) was created and has no leaders yet")
    }

    /// Whether a topic has so many partitions, or is told to have them a moment later.
    private func settled(_ topic: String, atLeast count: Int) throws(KafkaFailure) -> Bool {
        let end = Monotonic.now + limit.nanoseconds
        while try partitions(of: topic) ?? 0 < count {
            guard Monotonic.now < end else { return false }
            usleep(10_000)  // between two looks, on a thread for questions
        }
        return true
    }

    func create(_ topics: [(name: String, partitions: Int)]) throws(KafkaFailure) {
        var text = [CChar](repeating: 0, count: 256)
        var news: [OpaquePointer?] = topics.map {
            rd_kafka_NewTopic_new($0.name, Int32($0.partitions), Int32(configuration.replicationFactor), &text, text.count)
        }
        defer { for case let one? in news { rd_kafka_NewTopic_destroy(one) } }
        guard news.allSatisfy({ $0 != nil }) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, "no topic can be called \(topics.map(\.name).joined(separator: ", "))")
        }
        try request("creating topics", RD_KAFKA_ADMIN_OP_CREATETOPICS) { options, queue in
            rd_kafka_CreateTopics(handle.raw, &news, news.count, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            try Self.check(rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count), count, "creating topic")
        }
    }

    private func addPartitions(_ topic: String, total: Int) throws(KafkaFailure) {
        var text = [CChar](repeating: 0, count: 256)
        var more = rd_kafka_NewPartitions_new(topic, total, &text, text.count)
        guard let one = more else { throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, "no \(total) partitions for \(topic)") }
        defer { rd_kafka_NewPartitions_destroy(one) }
        try request("adding partitions", RD_KAFKA_ADMIN_OP_CREATEPARTITIONS) { options, queue in
            rd_kafka_CreatePartitions(handle.raw, &more, 1, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            try Self.check(
                rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count), count,
                "adding partitions to")
        }
    }

    private static func check(
        _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ what: String
    ) throws(KafkaFailure) {
        for index in 0..<count {
            guard let result = results?[index] else { continue }
            let code = rd_kafka_topic_result_error(result)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS { continue }
            let name = rd_kafka_topic_result_name(result).map { String(cString: $0) } ?? ""
            let text = rd_kafka_topic_result_error_string(result).map { String(cString: $0) } ?? KafkaFailure.words(code)
            throw KafkaFailure(code, "\(what) \(name): \(text)")
        }
    }

    /// Takes away all records below these offsets.
    func deleteRecords(below offsets: [PartitionOffset]) throws(KafkaFailure) {
        guard !offsets.isEmpty else { return }
        var order = PartitionOffset.with(offsets) { rd_kafka_DeleteRecords_new($0) } ?? nil
        defer { if let order { rd_kafka_DeleteRecords_destroy(order) } }
        try request("deleting records", RD_KAFKA_ADMIN_OP_DELETERECORDS) { options, queue in
            rd_kafka_DeleteRecords(handle.raw, &order, 1, options, queue)
        } read: { event throws(KafkaFailure) in
            let list = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))
            for one in PartitionOffset.read(list) where one.error != RD_KAFKA_RESP_ERR_NO_ERROR {
                throw KafkaFailure(one.error, doing: "deleting records of \(one.place.topic)")
            }
        }
    }

    // MARK: Offsets

    enum Place: Sendable { case earliest, latest, time(Int64) }

    /// The offset at a place of each partition.
    func offsets(_ place: Place, of partitions: [TopicPartition]) throws(KafkaFailure) -> [TopicPartition: Int64] {
        let end = Monotonic.now + limit.nanoseconds
        while true {
            do throws(KafkaFailure) { return try offsetsOnce(place, of: partitions) } catch {
                // Leaders that were just chosen, of a topic that was just made or a broker that just went, do not know it at once.
                guard Self.passing.contains(error.code), Monotonic.now < end else { throw error }
                usleep(20_000)  // between two tries, on a thread for questions
            }
        }
    }

    private static let passing: [rd_kafka_resp_err_t] = [
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
    ]

    private func offsetsOnce(_ place: Place, of partitions: [TopicPartition]) throws(KafkaFailure) -> [TopicPartition: Int64] {
        let asked: Int64 =
            switch place {
            case .earliest: Int64(RD_KAFKA_OFFSET_BEGINNING)
            case .latest: Int64(RD_KAFKA_OFFSET_END)
            case .time(let time): max(0, time)
            }
        guard !partitions.isEmpty else { return [:] }
        var found: [PartitionOffset] = []
        let code = PartitionOffset.with(partitions.map { PartitionOffset(place: $0, offset: asked) }) { list in
            let code = rd_kafka_offsets_for_times(handle.raw, list, Int32(limit.milliseconds))
            found = PartitionOffset.read(list)
            return code
        }
        guard let code, code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(code ?? RD_KAFKA_RESP_ERR__FAIL, doing: "asking for offsets of \(partitions[0].topic)")
        }
        var result: [TopicPartition: Int64] = [:]
        var beyond: [TopicPartition] = []
        for one in found {
            guard one.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaFailure(one.error, doing: "asking for offsets of \(one.place.topic)")
            }
            if one.offset < 0 { beyond.append(one.place) } else { result[one.place] = one.offset }
        }
        // No event at or after that time: what comes next is the first.
        if !beyond.isEmpty {
            guard case .time = place else {
                throw KafkaFailure(RD_KAFKA_RESP_ERR__NO_OFFSET, doing: "asking for offsets of \(beyond[0].topic)")
            }
            result.merge(try offsets(.latest, of: beyond)) { $1 }
        }
        return result
    }

    /// What the group has committed; a negative offset where it has nothing.
    func committed(by group: String, of partitions: [TopicPartition]) throws(KafkaFailure) -> [PartitionOffset] {
        var question =
            PartitionOffset.with(partitions.map { PartitionOffset(place: $0, offset: Int64(RD_KAFKA_OFFSET_INVALID)) }) {
                rd_kafka_ListConsumerGroupOffsets_new(group, $0)
            } ?? nil
        defer { if let question { rd_kafka_ListConsumerGroupOffsets_destroy(question) } }
        return try request("asking for offsets of group \(group)", RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS) { options, queue in
            rd_kafka_ListConsumerGroupOffsets(handle.raw, &question, 1, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &count)
            return try Self.partitions(of: count > 0 ? results?[0] : nil, "asking for offsets of group \(group)")
        }
    }

    /// Commits for a group that has no members. Throws `UNKNOWN_MEMBER_ID` when it has some.
    func commit(_ offsets: [PartitionOffset], for group: String) throws(KafkaFailure) {
        var order = PartitionOffset.with(offsets) { rd_kafka_AlterConsumerGroupOffsets_new(group, $0) } ?? nil
        defer { if let order { rd_kafka_AlterConsumerGroupOffsets_destroy(order) } }
        _ = try request("setting offsets of group \(group)", RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS) { options, queue in
            rd_kafka_AlterConsumerGroupOffsets(handle.raw, &order, 1, options, queue)
        } read: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count)
            return try Self.partitions(of: count > 0 ? results?[0] : nil, "setting offsets of group \(group)")
        }
    }

    private static func partitions(of result: OpaquePointer?, _ what: String) throws(KafkaFailure) -> [PartitionOffset] {
        guard let result else { throw KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, doing: what) }
        if let error = rd_kafka_group_result_error(result) { throw KafkaFailure(rd_kafka_error_code(error), doing: what) }
        let all = PartitionOffset.read(rd_kafka_group_result_partitions(result))
        for one in all where one.error != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaFailure(one.error, doing: what) }
        return all
    }

    // MARK: Requests

    func request<R>(
        _ what: String, _ kind: rd_kafka_admin_op_t, _ start: (_ options: OpaquePointer?, _ queue: OpaquePointer?) -> Void,
        read: (OpaquePointer) throws(KafkaFailure) -> R
    ) throws(KafkaFailure) -> R {
        let queue = rd_kafka_queue_new(handle.raw)
        defer { rd_kafka_queue_destroy(queue) }
        let options = rd_kafka_AdminOptions_new(handle.raw, kind)
        defer { rd_kafka_AdminOptions_destroy(options) }
        var text = [CChar](repeating: 0, count: 128)
        _ = rd_kafka_AdminOptions_set_request_timeout(options, Int32(limit.milliseconds), &text, text.count)
        start(options, queue)
        guard let event = rd_kafka_queue_poll(queue, Int32(limit.milliseconds) + 1000) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: what)
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(
                code, "\(what): \(rd_kafka_event_error_string(event).map { String(cString: $0) } ?? KafkaFailure.words(code))")
        }
        return try read(event)
    }
}

enum Monotonic {
    /// Nanoseconds since some moment in the past; does not jump with the wall clock.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
