import CRDKafka
import Glibc
import Streams

/// A record with its envelope, between the broker and whoever takes it.
struct FetchedRecord: Sendable {
    var record: KafkaRecord
    var envelope: Envelope
    var place: TopicPartition
}

extension KafkaRecord {
    /// Copies what the library holds: its memory is one fetched batch, which would stay as long as a single record of it.
    init(_ pointer: UnsafePointer<rd_kafka_message_t>, topic: String) {
        let message = pointer.pointee
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let time = rd_kafka_message_timestamp(pointer, &kind)
        self.init(
            topic: topic, partition: message.partition, offset: message.offset,
            timestamp: kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time,
            key: message.key.map { Array(UnsafeRawBufferPointer(start: $0, count: message.key_len)) },
            value: message.payload.map { Array(UnsafeRawBufferPointer(start: $0, count: message.len)) })
        isAppendTime = kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME
        var list: OpaquePointer?
        guard rd_kafka_message_headers(pointer, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return }
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        var index = 0
        while rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
            index += 1
            guard let name else { continue }
            headers.append(
                name: UnsafeRawBufferPointer(start: name, count: strlen(name)),
                value: value.map { UnsafeRawBufferPointer(start: $0, count: size) })
        }
    }
}
