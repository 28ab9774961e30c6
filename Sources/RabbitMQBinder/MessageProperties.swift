import CRabbitMQ
import Streams
import Telemetry

/// Between an envelope and the properties of an AMQP message.
///
/// On the wire is what Spring Cloud Stream sends: content type, delivery mode 2, priority 0 (Spring 4 loses all headers without it), message id and
/// timestamp in seconds. What AMQP has no place for travels in headers of our own; they are taken out on reception.
enum MessageProperties {
    static let key = "carillon-key"
    static let milliseconds = "carillon-timestamp"
    static let attempt = "carillon-attempt"
    static let exchange = "carillon-exchange"
    static let routingKey = "carillon-routing-key"
    /// What a dead letter tells beyond Spring's headers.
    static let attempts = "carillon-attempts"
    static let kind = "carillon-kind"
    static let rejected = "carillon-rejected"
    /// The envelope's header for a property that is seldom set.
    static let contentEncoding = "amqp_contentEncoding"
    private static let rare =
        AMQPFlag.correlation | AMQPFlag.replyTo | AMQPFlag.contentEncoding | AMQPFlag.type | AMQPFlag.application
    /// All that is set on the way to the dead-letter queue.
    static let failure: [String] = [
        "retry-count", "x-exception-message", "x-exception-stacktrace", "x-original-exchange", "x-original-routingKey", attempts, kind,
        rejected,
    ]
    /// What the broker adds on the way through a queue that delays; only taken out of copies that were made for a later attempt.
    static let traces: Set<String> = ["x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"]
    private static let absent: Set<String> = [key, milliseconds, attempt, exchange, routingKey]
    /// What Spring keeps off the wire too: it means something inside one process only.
    private static let local: Set<String> = ["scst_partition", "sourceData", "deliveryAttempt", "rabbitmq_streamContext"]
    /// How often a quorum queue has handed the message out before.
    static let deliveries = "x-delivery-count"

    /// Properties of a new message; valid until `arena` is recycled.
    static func write(_ envelope: Envelope, in arena: AMQPArena) -> amqp_basic_properties_t {
        var properties = amqp_basic_properties_t()
        properties._flags = AMQPFlag.deliveryMode | AMQPFlag.priority | AMQPFlag.messageID | AMQPFlag.timestamp
        properties.delivery_mode = 2
        properties.priority = 0
        properties.message_id = arena.bytes(envelope.id)
        if let type = envelope.contentType {
            properties._flags |= AMQPFlag.contentType
            properties.content_type = arena.bytes(type)
        }
        let time = envelope.timestamp ?? Timestamp.now.milliseconds
        properties.timestamp = UInt64(max(0, time / 1000))
        if envelope.headers.isEmpty, envelope.key == nil, (envelope.timestamp ?? 0) % 1000 == 0 { return properties }
        var headers: [(name: String, value: HeaderValue)] = []
        for (name, value) in envelope.headers.sorted(by: { $0.key < $1.key })
        where !local.contains(name) && !take(name, value, into: &properties, arena) {
            headers.append((name, value))
        }
        // For queues of several priorities; it stays in the table too, as Spring does it.
        if case .integer(let priority)? = envelope.headers["priority"] { properties.priority = UInt8(clamping: priority) }
        if let key = envelope.key { headers.append((Self.key, .string(key))) }
        if let timestamp = envelope.timestamp, timestamp % 1000 != 0 { headers.append((milliseconds, .integer(timestamp))) }
        properties._flags |= AMQPFlag.headers
        properties.headers = arena.table(headers)
        return properties
    }

    /// Spring's names for what AMQP keeps outside the table of headers.
    private static func take(
        _ name: String, _ value: HeaderValue, into properties: inout amqp_basic_properties_t, _ arena: AMQPArena
    ) -> Bool {
        guard name.hasPrefix("amqp_"), case .string(let text) = value, text.utf8.count <= 255 else { return false }
        switch name {
        case "amqp_correlationId":
            properties._flags |= AMQPFlag.correlation
            properties.correlation_id = arena.bytes(text)
        case "amqp_replyTo":
            properties._flags |= AMQPFlag.replyTo
            properties.reply_to = arena.bytes(text)
        case contentEncoding:
            properties._flags |= AMQPFlag.contentEncoding
            properties.content_encoding = arena.bytes(text)
        case "amqp_expiration" where UInt32(text) != nil:  // anything but a number closes the channel
            properties._flags |= AMQPFlag.expiration
            properties.expiration = arena.bytes(text)
        case "amqp_type":
            properties._flags |= AMQPFlag.type
            properties.type = arena.bytes(text)
        case "amqp_appId":
            properties._flags |= AMQPFlag.application
            properties.app_id = arena.bytes(text)
        default: return false
        }
        return true
    }

    /// Fills the envelope, the attempt and, for a copy made for a later attempt, where the message came from at first.
    static func read(_ properties: amqp_basic_properties_t, into delivery: inout AMQPDelivery) {
        let flags = properties._flags
        func text(_ flag: amqp_flags_t, _ bytes: amqp_bytes_t) -> String? { flags & flag != 0 ? String(lossy: bytes) : nil }
        var envelope = Envelope(id: text(AMQPFlag.messageID, properties.message_id) ?? "", payload: [])
        if envelope.id.isEmpty { envelope.id = Identifier.random() }
        envelope.contentType = text(AMQPFlag.contentType, properties.content_type)
        if envelope.contentType == "" { envelope.contentType = nil }
        if flags & AMQPFlag.timestamp != 0 {
            envelope.timestamp = Int64(clamping: min(properties.timestamp, UInt64(Int64.max / 1000))) * 1000
        }
        if flags & AMQPFlag.headers != 0 {
            var headers = HeaderValue.members(properties.headers)
            if case .string(let key)? = headers[Self.key] { envelope.key = key }
            if case .integer(let time)? = headers[milliseconds] { envelope.timestamp = time }
            if let count = headers.removeValue(forKey: deliveries)?.integer, count > 0 {
                delivery.attempt += Int(clamping: min(count, 1 << 32))
                delivery.redelivered = false  // it is counted in already
            }
            delivery.isBatch = headers[SpringBatch.header] == SpringBatch.format
            if let count = headers[attempt]?.integer, count > 1 {
                delivery.attempt += Int(clamping: count) - 1
                if let origin = headers[exchange]?.text { delivery.exchange = origin }
                if let origin = headers[routingKey]?.text { delivery.routingKey = origin }
                envelope.headers = headers.filter { !absent.contains($0.key) && !traces.contains($0.key) }
            } else {
                envelope.headers = headers.contains { absent.contains($0.key) } ? headers.filter { !absent.contains($0.key) } : headers
            }
        }
        if flags & rare != 0 {
            for (name, flag, value) in [
                ("amqp_correlationId", AMQPFlag.correlation, properties.correlation_id),
                ("amqp_replyTo", AMQPFlag.replyTo, properties.reply_to),
                (contentEncoding, AMQPFlag.contentEncoding, properties.content_encoding), ("amqp_type", AMQPFlag.type, properties.type),
                ("amqp_appId", AMQPFlag.application, properties.app_id),
            ] where flags & flag != 0 { envelope.headers[name] = .string(String(lossy: value)) }
            delivery.isEncoded = flags & AMQPFlag.contentEncoding != 0
        }
        delivery.envelope = envelope
    }

    /// The properties of a message as they came, with `changes` set in its headers (nil takes one out) and the timestamp left out where
    /// asked for; `record`: for one message out of a batch. Nil when they cannot be read back.
    static func copy(
        _ raw: [UInt8], changes: [(name: String, value: HeaderValue?)], withoutTimestamp: Bool, record: BatchRecord? = nil,
        in arena: AMQPArena
    ) -> amqp_basic_properties_t? {
        var decoded: UnsafeMutableRawPointer?
        guard amqp_decode_properties(60, arena.raw, arena.bytes(raw), &decoded) == AMQP_STATUS_OK.rawValue, let decoded else { return nil }
        var properties = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
        let old = properties._flags & AMQPFlag.headers != 0 ? properties.headers : amqp_table_t()
        guard let entries = arena.allocate(amqp_table_entry_t.self, count: Int(old.num_entries) + changes.count) else { return nil }
        var count = 0
        let changed = Set(changes.map(\.name))
        for index in 0..<Int(max(0, old.num_entries)) where !changed.contains(String(lossy: old.entries[index].key)) {
            entries[count] = old.entries[index]
            count += 1
        }
        for case (let name, let value?) in changes {
            entries[count] = amqp_table_entry_t(key: arena.bytes(name), value: arena.field(value))
            count += 1
        }
        properties.headers = amqp_table_t(num_entries: Int32(count), entries: entries)
        properties._flags |= AMQPFlag.headers | AMQPFlag.deliveryMode | AMQPFlag.priority
        properties.delivery_mode = 2
        properties._flags &= ~AMQPFlag.expiration  // it counts from the first publish, and the copy's time starts anew
        if withoutTimestamp { properties._flags &= ~AMQPFlag.timestamp }
        if let record {
            properties._flags |= AMQPFlag.messageID
            properties.message_id = arena.bytes(record.id)
            properties._flags &= ~AMQPFlag.contentEncoding
            if let encoding = record.contentEncoding {
                properties._flags |= AMQPFlag.contentEncoding
                properties.content_encoding = arena.bytes(encoding)
            }
        }
        return properties
    }
}
