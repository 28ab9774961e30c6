package import Streams

/// Between an envelope and the headers of a Kafka record, in the forms of Spring's header mapper.
///
/// Text is raw, numbers, booleans, lists and tables are JSON; `spring_json_header_types`, always the last header, names the Java class of each
/// of them. Bytes are raw and not listed. `carillon-id` carries the envelope's id; Spring hands it on as bytes, which harms nobody. The key
/// and the timestamp of an envelope are those of the record.
package enum KafkaHeaders {
    package static let types = "spring_json_header_types"
    package static let contentType = "contentType"
    package static let id = "carillon-id"
    /// Names the group that a replayed dead letter is for.
    package static let owner = "carillon-for"
    /// What Spring never maps: ids and times of its own messages, and all that describes a record.
    static let internals: Set<String> = [
        "id", "timestamp", "deliveryAttempt", "scst_nativeHeadersPresent", types, contentType, id,
    ]
    private static let string = "java.lang.String"
    private static let plainTypes = Array("{\"contentType\":\"java.lang.String\"}".utf8)

    package static func write(_ envelope: Envelope) -> RecordHeaders {
        var headers = RecordHeaders()
        if let type = envelope.contentType { headers.append(contentType, type) }
        if envelope.headers.isEmpty {
            headers.append(id, envelope.id)
            if envelope.contentType != nil { headers.append(types, plainTypes) }
            return headers
        }
        var classes: [WireValue.Member] = []
        if envelope.contentType != nil { classes.append(.init(contentType, .string(string))) }
        for (name, value) in envelope.headers.sorted(by: { $0.key < $1.key }) where !internals.contains(name) && !name.hasPrefix("kafka_") {
            let (bytes, type) = encode(value)
            headers.append(name, bytes)
            if let type, !isAlwaysText(name) { classes.append(.init(name, .string(type))) }
        }
        headers.append(id, envelope.id)
        // Also when nothing is listed: it tells readers of ours that an unlisted header holds bytes.
        headers.append(types, WireValue.object(classes).bytes)
        return headers
    }

    /// The bytes of a value and its Java class; no class: bytes as they are.
    static func encode(_ value: HeaderValue) -> (bytes: [UInt8]?, type: String?) {
        switch value {
        // Spring reads text that begins with a quote as JSON: only so does it come back as it was.
        case .string(let text): (text.utf8.first == UInt8(ascii: "\"") ? WireValue.string(text).bytes : Array(text.utf8), string)
        case .integer(let number):
            (Array(String(number).utf8), Int32(exactly: number) == nil ? "java.lang.Long" : "java.lang.Integer")
        case .double(let number): (Array(text(of: number).utf8), "java.lang.Double")
        case .boolean(let flag): (Array((flag ? "true" : "false").utf8), "java.lang.Boolean")
        case .bytes(let bytes): (bytes, nil)
        case .timestamp(let time): (Array(String(time).utf8), "java.util.Date")
        case .array: (value.wire.bytes, "java.util.ArrayList")
        case .table: (value.wire.bytes, "java.util.LinkedHashMap")
        case .null: (nil, nil)
        }
    }

    private static func text(of number: Double) -> String {
        if number.isNaN { return "\"NaN\"" }
        if number.isInfinite { return number < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
        return "\(number)"
    }

    /// Tracing headers are text for Spring without being listed.
    static func isAlwaysText(_ name: String) -> Bool { name == "traceparent" || name == "b3" || name.hasPrefix("X-B3-") }
}
