import CRDKafka
import Streams

/// A consuming client of the library with two queues: what happens, and the records, which are taken only while there is room for them.
/// Used on one thread.
final class KafkaConsumerClient {
    let handle: KafkaHandle
    private let control: OpaquePointer?
    private let records: OpaquePointer?
    /// Those of the partitions that were ever assigned: what is left in them at the end would keep the client from ending.
    private var partitions: [TopicPartition: OpaquePointer] = [:]
    private var raw: OpaquePointer { handle.raw }

    init(_ settings: [(String, String)], wakeUp: WakeUp?, route: KafkaRoute? = nil) throws(BinderError) {
        handle = try KafkaHandle(
            RD_KAFKA_CONSUMER, settings, events: RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR,
            route: route)
        rd_kafka_poll_set_consumer(handle.raw)
        control = rd_kafka_queue_get_consumer(handle.raw)
        records = rd_kafka_queue_new(handle.raw)
        guard let wakeUp else { return }
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(control, wakeUp.descriptor, &one, 8)
        rd_kafka_queue_io_event_enable(records, wakeUp.descriptor, &one, 8)
    }

    deinit {
        // Before their client, and empty.
        for queue in partitions.values {
            rd_kafka_queue_forward(queue, nil)
            while let event = rd_kafka_queue_poll(queue, 0) { rd_kafka_event_destroy(event) }
            rd_kafka_queue_destroy(queue)
        }
        rd_kafka_queue_destroy(records)
        if let control { rd_kafka_queue_destroy(control) }
    }

    /// The next thing that happened; valid until `body` returns. False when there is none.
    func nextEvent(within limit: Duration = .zero, _ body: (OpaquePointer) -> Void) -> Bool {
        guard let event = rd_kafka_queue_poll(control, Int32(clamping: limit.milliseconds)) else { return false }
        defer { rd_kafka_event_destroy(event) }
        body(event)
        return true
    }

    /// The next record, or an error of a partition.
    func nextRecord(within limit: Duration = .zero, _ body: (OpaquePointer) -> Void) -> Bool {
        guard let event = rd_kafka_queue_poll(records, Int32(clamping: limit.milliseconds)) else { return false }
        defer { rd_kafka_event_destroy(event) }
        body(event)
        return true
    }

    /// Asks where the partitions of a topic are: the library by itself would do so a second after they were assigned.
    func learn(_ topic: String) {
        guard let known = KafkaTopic(topic, on: handle) else { return }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        guard rd_kafka_metadata(raw, 0, known.raw, &metadata, 2000) == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        rd_kafka_metadata_destroy(metadata)
    }

    // MARK: Assignment

    func subscribe(_ topics: [String]) throws(KafkaFailure) {
        let all = topics.map { PartitionOffset(place: TopicPartition(topic: $0, partition: RD_KAFKA_PARTITION_UA), offset: 0) }
        let code = PartitionOffset.with(all) { rd_kafka_subscribe(raw, $0) } ?? RD_KAFKA_RESP_ERR__FAIL
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure(code, doing: "subscribing to \(topics[0])") }
    }

    /// Reads these partitions from these offsets on; `adding` keeps those that it has.
    func assign(_ offsets: [PartitionOffset], adding: Bool = false) throws(KafkaFailure) {
        for one in offsets {
            // Into the queue of records, before the first of them can come.
            guard let queue = rd_kafka_queue_get_partition(raw, one.place.topic, one.place.partition) else { continue }
            rd_kafka_queue_forward(queue, records)
            if let old = partitions.updateValue(queue, forKey: one.place) { rd_kafka_queue_destroy(old) }
        }
        let code: rd_kafka_resp_err_t? = PartitionOffset.with(offsets) { list in
            guard adding else { return rd_kafka_assign(raw, list) }
            return Self.code(rd_kafka_incremental_assign(raw, list))
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure(code ?? RD_KAFKA_RESP_ERR__FAIL, doing: "taking partitions") }
    }

    /// Gives up these partitions, or all.
    func unassign(_ places: [TopicPartition]?) {
        guard let places else {
            rd_kafka_assign(raw, nil)
            return
        }
        _ = PartitionOffset.with(places.map { PartitionOffset(place: $0, offset: 0) }) { Self.code(rd_kafka_incremental_unassign(raw, $0)) }
    }

    private static func code(_ error: OpaquePointer?) -> rd_kafka_resp_err_t {
        guard let error else { return RD_KAFKA_RESP_ERR_NO_ERROR }
        defer { rd_kafka_error_destroy(error) }
        return rd_kafka_error_code(error)
    }

    /// Whether the partitions went to others without waiting for us.
    var isAssignmentLost: Bool { rd_kafka_assignment_lost(raw) != 0 }

    var isCooperative: Bool { rd_kafka_rebalance_protocol(raw).map { String(cString: $0) == "COOPERATIVE" } ?? false }

    // MARK: Offsets

    func committed(_ places: [TopicPartition], within limit: Duration) throws(KafkaFailure) -> [PartitionOffset] {
        var found: [PartitionOffset] = []
        let code = PartitionOffset.with(places.map { PartitionOffset(place: $0, offset: Int64(RD_KAFKA_OFFSET_INVALID)) }) { list in
            let code = rd_kafka_committed(raw, list, Int32(clamping: limit.milliseconds))
            found = PartitionOffset.read(list)
            return code
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(code ?? RD_KAFKA_RESP_ERR__FAIL, doing: "asking for committed offsets")
        }
        return found
    }

    /// The result comes as an event.
    func commit(_ offsets: [PartitionOffset]) {
        _ = PartitionOffset.with(offsets) { rd_kafka_commit_queue(raw, $0, control, nil, nil) }
    }

    /// Waits for the result.
    func commit(_ offsets: [PartitionOffset], within limit: Duration) throws(KafkaFailure) {
        guard !offsets.isEmpty else { return }
        let answers = rd_kafka_queue_new(raw)
        defer { rd_kafka_queue_destroy(answers) }
        let code = PartitionOffset.with(offsets) { rd_kafka_commit_queue(raw, $0, answers, nil, nil) } ?? RD_KAFKA_RESP_ERR__FAIL
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure(code, doing: "committing offsets") }
        guard let event = rd_kafka_queue_poll(answers, Int32(clamping: limit.milliseconds)) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "committing offsets")
        }
        defer { rd_kafka_event_destroy(event) }
        let result = rd_kafka_event_error(event)
        guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure(result, doing: "committing offsets") }
    }

    /// Leaves the group, within the limit.
    func close(within limit: Duration) {
        if let error = rd_kafka_consumer_close_queue(raw, control) {
            rd_kafka_error_destroy(error)
            return
        }
        let cooperative = isCooperativeAtClose
        let end = Monotonic.now + limit.nanoseconds
        while rd_kafka_consumer_closed(raw) == 0, Monotonic.now < end {
            _ = nextEvent(within: .milliseconds(50)) { event in
                guard rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE else { return }
                let places = PartitionOffset.read(rd_kafka_event_topic_partition_list(event)).map(\.place)
                unassign(cooperative ? places : nil)
            }
        }
    }

    /// Noted while that can be asked: not after closing has begun.
    var isCooperativeAtClose = false
}
