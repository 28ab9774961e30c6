package import Streams

/// A record as it came from a partition, with what a copy of it needs.
package struct KafkaRecord: Sendable {
    package var topic: String
    package var partition: Int32
    package var offset: Int64
    /// Milliseconds since 1970; negative where the record has none.
    package var timestamp: Int64
    /// Whether the broker set the time when it wrote the record.
    package var isAppendTime = false
    package var key: [UInt8]?
    /// Nil: a tombstone.
    package var value: [UInt8]?
    package var headers: RecordHeaders

    package init(
        topic: String, partition: Int32 = 0, offset: Int64 = 0, timestamp: Int64 = -1, key: [UInt8]? = nil, value: [UInt8]?,
        headers: RecordHeaders = RecordHeaders()
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// The record as an envelope. A record that names no id gets the one that its place gives it: the same each time it is read.
    package func envelope(_ reader: inout KafkaHeaderReader, embeddedHeaders: Bool = true) -> Envelope {
        var envelope = Envelope(id: "", payload: value ?? [], timestamp: timestamp < 0 ? nil : timestamp)
        if let key { envelope.key = String(decoding: key, as: UTF8.self) }
        if !headers.isEmpty {
            reader.read(headers, into: &envelope)
        } else if embeddedHeaders, let value, value.first == 0xFF {
            _ = EmbeddedHeaders.read(value, into: &envelope)
        }
        if envelope.id.isEmpty { envelope.id = "\(topic)-\(partition)@\(offset)" }
        return envelope
    }
}
