import CRabbitMQ
import Foundation
import Streams
import ThreadExecutor

@testable import RabbitMQBinder

/// A plain AMQP client for tests, which sees what another application would see.
enum RawAMQP {
    /// Runs `body` with a connection to the broker, on a thread of its own.
    @discardableResult
    static func with<R: Sendable>(_ uri: String, _ body: @escaping @Sendable (AMQPConnection) throws -> R) async throws -> R {
        let configuration = try RabbitMQConfiguration(uri: uri)
        return try await withCheckedThrowingContinuation { continuation in
            Thread {
                continuation.resume(
                    with: Result {
                        let connection = try AMQPConnection(
                            configuration, address: configuration.addresses[0], purpose: "raw", socket: SocketGuard())
                        defer { connection.close() }
                        return try body(connection)
                    })
            }.start()
        }
    }

    /// Takes messages from a queue until there are `count`. Fewer when there are no more within `limit`.
    static func take(_ count: Int, from queue: String, _ connection: AMQPConnection, limit: Duration = .seconds(10)) throws -> [RawMessage]
    {
        _ = try connection.consume(queue: queue, prefetch: count, exclusive: false)
        var messages: [RawMessage] = []
        let end = Monotonic.now + limit.nanoseconds
        while messages.count < count, Monotonic.now < end {
            let frames = try connection.receive { event throws(AMQPFailure) in
                guard case .delivered(let delivery) = event else { return }
                messages.append(RawMessage(delivery))
                try connection.ack(delivery.tag, multiple: false)
            }
            if frames == 0 { usleep(2000) }
        }
        return messages
    }
}

extension RawAMQP {
    /// Publishes a message as a recording writes it: properties by name, headers as `t` and `v`.
    static func publish(
        to exchange: String, key: String, properties: [String: Any], headers: [String: Any], body: [UInt8], _ connection: AMQPConnection
    ) throws {
        let arena = connection.arena
        var raw = amqp_basic_properties_t()
        func text(_ name: String, _ flag: amqp_flags_t, _ path: WritableKeyPath<amqp_basic_properties_t, amqp_bytes_t>) {
            guard let value = properties[name] as? String else { return }
            raw._flags |= flag
            raw[keyPath: path] = arena.bytes(value)
        }
        text("contentType", AMQPFlag.contentType, \.content_type)
        text("contentEncoding", AMQPFlag.contentEncoding, \.content_encoding)
        text("correlationId", AMQPFlag.correlation, \.correlation_id)
        text("replyTo", AMQPFlag.replyTo, \.reply_to)
        text("expiration", AMQPFlag.expiration, \.expiration)
        text("messageId", AMQPFlag.messageID, \.message_id)
        text("type", AMQPFlag.type, \.type)
        text("appId", AMQPFlag.application, \.app_id)
        if let mode = properties["deliveryMode"] as? Int {
            raw._flags |= AMQPFlag.deliveryMode
            raw.delivery_mode = UInt8(mode)
        }
        if let priority = properties["priority"] as? Int {
            raw._flags |= AMQPFlag.priority
            raw.priority = UInt8(priority)
        }
        if let timestamp = properties["timestamp"] as? Int {
            raw._flags |= AMQPFlag.timestamp
            raw.timestamp = UInt64(timestamp)
        }
        if !headers.isEmpty {
            raw._flags |= AMQPFlag.headers
            raw.headers = table(headers, arena)
        }
        try connection.publish(exchange: exchange, routingKey: key, mandatory: false, properties: &raw, body: body)
        arena.recycle()
    }

    private static func table(_ members: [String: Any], _ arena: AMQPArena) -> amqp_table_t {
        let entries = arena.allocate(amqp_table_entry_t.self, count: members.count)
        for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
            entries?[index] = amqp_table_entry_t(key: arena.bytes(member.key), value: field(member.value, arena))
        }
        return amqp_table_t(num_entries: Int32(members.count), entries: entries)
    }

    private static func field(_ recorded: Any, _ arena: AMQPArena) -> amqp_field_value_t {
        var field = amqp_field_value_t()
        guard let pair = recorded as? [String: Any], let type = (pair["t"] as? String)?.unicodeScalars.first else { return field }
        field.kind = UInt8(truncatingIfNeeded: type.value)
        let value = pair["v"]
        switch type {
        case "S": field.value.bytes = arena.bytes(value as? String ?? "")
        case "x": field.value.bytes = arena.bytes([UInt8](Data(base64Encoded: value as? String ?? "") ?? Data()))
        case "I": field.value.i32 = Int32(value as? Int ?? 0)
        case "l": field.value.i64 = Int64(value as? Int ?? 0)
        case "s": field.value.i16 = Int16(value as? Int ?? 0)
        case "b": field.value.i8 = Int8(value as? Int ?? 0)
        case "d": field.value.f64 = value as? Double ?? 0
        case "f": field.value.f32 = Float(value as? Double ?? 0)
        case "t": field.value.boolean = value as? Bool == true ? 1 : 0
        case "T": field.value.u64 = UInt64(value as? Int ?? 0)
        case "D":
            let parts = (value as? String ?? "0").split(separator: ".")
            field.value.decimal = amqp_decimal_t(
                decimals: UInt8(parts.count > 1 ? parts[1].count : 0), value: UInt32(parts.joined()) ?? 0)
        case "A":
            let values = value as? [Any] ?? []
            let entries = arena.allocate(amqp_field_value_t.self, count: values.count)
            for (index, value) in values.enumerated() { entries?[index] = self.field(value, arena) }
            field.value.array = amqp_array_t(num_entries: Int32(values.count), entries: entries)
        case "F": field.value.table = table(value as? [String: Any] ?? [:], arena)
        default: break
        }
        return field
    }
}

/// A message as it stands on the wire, in the notation of the recordings: a header is `t`, its AMQP type, and `v`, its value as text.
struct RawMessage: Sendable {
    struct Header: Sendable, Equatable, CustomStringConvertible {
        var type: String
        var value: String
        var description: String { "\(type):\(value)" }
    }
    var exchange: String
    var routingKey: String
    var properties: [String: String] = [:]
    var headers: [String: Header] = [:]
    var body: [UInt8]

    init(_ delivery: AMQPDelivery) {
        exchange = delivery.exchange
        routingKey = delivery.routingKey
        body = delivery.envelope.payload
        let arena = AMQPArena()
        var decoded: UnsafeMutableRawPointer?
        guard amqp_decode_properties(60, arena.raw, arena.bytes(delivery.properties), &decoded) == 0, let decoded else { return }
        let raw = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
        for (name, flag, value) in [
            ("contentType", AMQPFlag.contentType, String(lossy: raw.content_type)),
            ("contentEncoding", AMQPFlag.contentEncoding, String(lossy: raw.content_encoding)),
            ("deliveryMode", AMQPFlag.deliveryMode, String(raw.delivery_mode)), ("priority", AMQPFlag.priority, String(raw.priority)),
            ("correlationId", AMQPFlag.correlation, String(lossy: raw.correlation_id)),
            ("replyTo", AMQPFlag.replyTo, String(lossy: raw.reply_to)), ("expiration", AMQPFlag.expiration, String(lossy: raw.expiration)),
            ("messageId", AMQPFlag.messageID, String(lossy: raw.message_id)), ("timestamp", AMQPFlag.timestamp, String(raw.timestamp)),
            ("type", AMQPFlag.type, String(lossy: raw.type)), ("appId", AMQPFlag.application, String(lossy: raw.app_id)),
        ] where raw._flags & flag != 0 {
            properties[name] = value
        }
        guard raw._flags & AMQPFlag.headers != 0 else { return }
        for index in 0..<Int(raw.headers.num_entries) {
            let entry = raw.headers.entries[index]
            headers[String(lossy: entry.key)] = Header(
                type: String(UnicodeScalar(entry.value.kind)), value: Self.text(HeaderValue(entry.value)))
        }
    }

    static func text(_ value: HeaderValue) -> String {
        switch value {
        case .array(let values): "[" + values.map(text).joined(separator: ",") + "]"
        case .table(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0.key)=\(text($0.value))" }.joined(separator: ",") + "}"
        case .bytes(let bytes): Data(bytes).base64EncodedString()
        case .timestamp(let time): String(time / 1000)
        case .null: ""
        default: value.text ?? ""
        }
    }
}
