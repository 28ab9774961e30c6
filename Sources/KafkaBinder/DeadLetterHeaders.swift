import Streams

/// The headers of a dead letter: those of the record as they came, then Spring's, numbers as big-endian bytes.
enum DeadLetterHeaders {
    static let topic = "x-original-topic"
    static let partition = "x-original-partition"
    static let offset = "x-original-offset"
    static let timestamp = "x-original-timestamp"
    static let timestampType = "x-original-timestamp-type"
    static let kind = "x-exception-fqcn"
    static let message = "x-exception-message"
    static let trace = "x-exception-stacktrace"
    /// How often it was handed out.
    static let attempts = "carillon-attempts"
    static let all: Set<String> = [topic, partition, offset, timestamp, timestampType, kind, message, trace, attempts]

    /// `room` is what the record may take in all; longer texts of the failure are cut.
    static func headers(of record: KafkaRecord, reason: FailureReason, attempt: Int, room: Int) -> RecordHeaders {
        var headers = record.headers
        headers.append(topic, record.topic)
        headers.append(partition, bigEndian(record.partition))
        headers.append(offset, bigEndian(record.offset))
        headers.append(timestamp, bigEndian(record.timestamp))
        headers.append(timestampType, record.timestamp < 0 ? "NoTimestampType" : record.isAppendTime ? "LogAppendTime" : "CreateTime")
        let left = max(200, room - (record.value?.count ?? 0) - (record.key?.count ?? 0) - headers.size - 500)
        headers.append(kind, reason.kind.cut(toUTF8: min(255, left)))
        let text = reason.message.cut(toUTF8: left / 3)
        headers.append(message, text)
        headers.append(trace, "\(reason.kind): \(reason.message)".cut(toUTF8: left / 3))
        headers.append(attempts, String(attempt))
        return headers
    }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    static func number(_ bytes: [UInt8]?) -> Int64? {
        guard let bytes, bytes.count == 4 || bytes.count == 8 else { return nil }
        let bits = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return bytes.count == 4 ? Int64(Int32(truncatingIfNeeded: bits)) : Int64(bitPattern: bits)
    }
}

extension String {
    /// At most this many bytes, cut between characters.
    func cut(toUTF8 limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var text = ""
        var size = 0
        for character in self {
            size += character.utf8.count
            if size > limit { break }
            text.append(character)
        }
        return text
    }
}
