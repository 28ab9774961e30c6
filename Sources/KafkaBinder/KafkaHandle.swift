import CRDKafka
import Glibc
import Streams
import Synchronization
import ThreadExecutor

/// A client of the library, with threads of its own. May be used from any thread; ends when nobody holds it any more.
final class KafkaHandle: @unchecked Sendable {  // the library's clients are made for use from several threads
    let raw: OpaquePointer
    /// Called by the library's threads, and so kept as long as the client.
    private let route: KafkaRoute?

    /// Throws `.invalid` for a setting that the library does not take. `events` are the kinds that its queues are to carry.
    init(
        _ type: rd_kafka_type_t, _ settings: [(String, String)], events: Int32 = 0, route: KafkaRoute? = nil
    ) throws(BinderError) {
        guard let configuration = rd_kafka_conf_new() else { throw BinderError(.invalid, "no memory for a client of Kafka") }
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in settings where rd_kafka_conf_set(configuration, name, value, &text, text.count) != RD_KAFKA_CONF_OK {
            rd_kafka_conf_destroy(configuration)
            // The library's text repeats the value, which may be a secret.
            throw BinderError(.invalid, "Kafka's setting \(name) does not exist or cannot have this value")
        }
        route?.install(in: configuration)
        if events != 0 { rd_kafka_conf_set_events(configuration, events) }
        // What matters comes as an event; the library's own lines go to standard error for whoever asks for them by `debug`.
        if !settings.contains(where: { $0.0 == "debug" }) { rd_kafka_conf_set_log_cb(configuration, nil) }
        guard let raw = rd_kafka_new(type, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            throw BinderError(
                .invalid,
                "Kafka's settings do not fit together: \(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))"
            )
        }
        self.raw = raw
        self.route = route
    }

    /// Set when a topic was deleted under this client: librdkafka before 2.6.1 may then wait for its own partitions for ever when it ends.
    let mayHang = Atomic(false)

    /// The consumers that reach this were closed by their thread, as far as that was possible in time.
    deinit {
        guard mayHang.load(ordering: .relaxed) else { return rd_kafka_destroy_flags(raw, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) }
        // On a thread that nobody waits for.
        let reaper = ThreadExecutor(name: "kafka-reaper")
        reaper.submit { [client = UInt(bitPattern: raw)] in
            rd_kafka_destroy_flags(OpaquePointer(bitPattern: client), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        }
        reaper.stop()
    }

    /// Whether any broker answers within the limit. Blocks.
    func answers(within limit: Duration) -> Bool {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        guard rd_kafka_metadata(raw, 0, nil, &metadata, Int32(limit.milliseconds)) == RD_KAFKA_RESP_ERR_NO_ERROR else { return false }
        rd_kafka_metadata_destroy(metadata)
        return true
    }
}

/// A topic as the producer knows it; ends before its client.
final class KafkaTopic: @unchecked Sendable {  // as its client
    let raw: OpaquePointer
    private let handle: KafkaHandle

    init?(_ name: String, on handle: KafkaHandle) {
        guard let raw = rd_kafka_topic_new(handle.raw, name, nil) else { return nil }
        self.raw = raw
        self.handle = handle
    }

    deinit { rd_kafka_topic_destroy(raw) }
}

/// A partition of a topic.
struct TopicPartition: Sendable, Hashable {
    var topic: String
    var partition: Int32
}

/// What the library calls a topic partition list, as values.
struct PartitionOffset: Sendable {
    var place: TopicPartition
    /// Negative: none.
    var offset: Int64
    /// The metadata of a commit.
    var notes = ""
    var error = RD_KAFKA_RESP_ERR_NO_ERROR

    static func read(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>?) -> [PartitionOffset] {
        guard let list = list?.pointee, let elements = list.elems else { return [] }
        return (0..<Int(list.cnt)).map { index in
            let one = elements[index]
            let notes = one.metadata.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: one.metadata_size), as: UTF8.self) }
            return PartitionOffset(
                place: TopicPartition(topic: String(cString: one.topic), partition: one.partition), offset: one.offset, notes: notes ?? "",
                error: one.err)
        }
    }

    /// Runs `body` with a list that lives as long.
    static func with<R>(_ all: [PartitionOffset], _ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> R) -> R? {
        guard let list = rd_kafka_topic_partition_list_new(Int32(all.count)) else { return nil }
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for one in all {
            guard let added = rd_kafka_topic_partition_list_add(list, one.place.topic, one.place.partition) else { return nil }
            added.pointee.offset = one.offset
            guard !one.notes.isEmpty else { continue }
            var notes = one.notes
            notes.withUTF8 { bytes in
                // The list frees it.
                guard let copy = malloc(bytes.count), let start = bytes.baseAddress else { return }
                memcpy(copy, start, bytes.count)
                added.pointee.metadata = copy
                added.pointee.metadata_size = bytes.count
            }
        }
        return body(list)
    }
}
