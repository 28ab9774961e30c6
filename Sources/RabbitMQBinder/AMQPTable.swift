import CRabbitMQ
import Streams

/// Memory for what one call hands to the library: freed by `recycle`, all at once.
final class AMQPArena {
    private let pool = UnsafeMutablePointer<amqp_pool_t>.allocate(capacity: 1)

    init() { init_amqp_pool(pool, 16 * 1024) }

    deinit {
        empty_amqp_pool(pool)
        pool.deallocate()
    }

    /// Everything handed out before is free again.
    func recycle() { recycle_amqp_pool(pool) }

    var raw: UnsafeMutablePointer<amqp_pool_t> { pool }

    func allocate<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T>? {
        amqp_pool_alloc(pool, max(1, count) * MemoryLayout<T>.stride)?.bindMemory(to: T.self, capacity: count)
    }

    func bytes(_ text: String) -> amqp_bytes_t {
        var text = text
        return text.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
    }

    func bytes(_ array: [UInt8]) -> amqp_bytes_t { array.withUnsafeBytes { bytes($0) } }

    private func bytes(_ source: UnsafeRawBufferPointer) -> amqp_bytes_t {
        guard let from = source.baseAddress, !source.isEmpty, let to = amqp_pool_alloc(pool, source.count) else { return amqp_bytes_t() }
        to.copyMemory(from: from, byteCount: source.count)
        return amqp_bytes_t(len: source.count, bytes: to)
    }

    /// Bytes of the program itself, which need no copy.
    func bytes(_ text: StaticString) -> amqp_bytes_t {
        amqp_bytes_t(len: text.utf8CodeUnitCount, bytes: UnsafeMutableRawPointer(mutating: text.utf8Start))
    }

    func table(_ headers: [(name: String, value: HeaderValue)]) -> amqp_table_t {
        guard !headers.isEmpty, let entries = allocate(amqp_table_entry_t.self, count: headers.count) else { return amqp_table_t() }
        for (index, header) in headers.enumerated() {
            entries[index] = amqp_table_entry_t(key: bytes(header.name), value: field(header.value))
        }
        return amqp_table_t(num_entries: Int32(headers.count), entries: entries)
    }

    /// A value in the type that AMQP has for it; integers go out as 64 bits.
    func field(_ value: HeaderValue) -> amqp_field_value_t {
        var field = amqp_field_value_t()
        switch value {
        case .string(let text):
            field.kind = kind(AMQP_FIELD_KIND_UTF8)
            field.value.bytes = bytes(text)
        case .integer(let number):
            field.kind = kind(AMQP_FIELD_KIND_I64)
            field.value.i64 = number
        case .double(let number):
            field.kind = kind(AMQP_FIELD_KIND_F64)
            field.value.f64 = number
        case .boolean(let flag):
            field.kind = kind(AMQP_FIELD_KIND_BOOLEAN)
            field.value.boolean = flag ? 1 : 0
        case .bytes(let array):
            field.kind = kind(AMQP_FIELD_KIND_BYTES)
            field.value.bytes = bytes(array)
        case .timestamp(let milliseconds):  // AMQP counts seconds
            field.kind = kind(AMQP_FIELD_KIND_TIMESTAMP)
            field.value.u64 = UInt64(max(0, milliseconds / 1000))
        case .array(let values):
            field.kind = kind(AMQP_FIELD_KIND_ARRAY)
            let entries = allocate(amqp_field_value_t.self, count: values.count)
            for (index, value) in values.enumerated() { entries?[index] = self.field(value) }
            field.value.array = amqp_array_t(num_entries: entries == nil ? 0 : Int32(values.count), entries: entries)
        case .table(let members):
            field.kind = kind(AMQP_FIELD_KIND_TABLE)
            field.value.table = table(members.map { ($0.key, $0.value) })
        case .null:
            field.kind = kind(AMQP_FIELD_KIND_VOID)
        }
        return field
    }

    private func kind(_ kind: amqp_field_value_kind_t) -> UInt8 { UInt8(truncatingIfNeeded: kind.rawValue) }
}

extension HeaderValue {
    /// What a peer sent. Types that only AMQP has become the nearest: small and unsigned integers `.integer`, a float `.double`, a decimal
    /// its text.
    init(_ field: amqp_field_value_t, depth: Int = 0) {
        switch UInt32(field.kind) {
        case AMQP_FIELD_KIND_BOOLEAN.rawValue: self = .boolean(field.value.boolean != 0)
        case AMQP_FIELD_KIND_I8.rawValue: self = .integer(Int64(field.value.i8))
        case AMQP_FIELD_KIND_U8.rawValue: self = .integer(Int64(field.value.u8))
        case AMQP_FIELD_KIND_I16.rawValue: self = .integer(Int64(field.value.i16))
        case AMQP_FIELD_KIND_U16.rawValue: self = .integer(Int64(field.value.u16))
        case AMQP_FIELD_KIND_I32.rawValue: self = .integer(Int64(field.value.i32))
        case AMQP_FIELD_KIND_U32.rawValue: self = .integer(Int64(field.value.u32))
        case AMQP_FIELD_KIND_I64.rawValue: self = .integer(field.value.i64)
        case AMQP_FIELD_KIND_U64.rawValue: self = .integer(Int64(clamping: field.value.u64))
        case AMQP_FIELD_KIND_F32.rawValue: self = .double(Double(field.value.f32))
        case AMQP_FIELD_KIND_F64.rawValue: self = .double(field.value.f64)
        case AMQP_FIELD_KIND_DECIMAL.rawValue: self = .string(Self.decimal(field.value.decimal))
        case AMQP_FIELD_KIND_UTF8.rawValue:
            self = String(checked: field.value.bytes).map { .string($0) } ?? .bytes(Array(field.value.bytes))
        case AMQP_FIELD_KIND_BYTES.rawValue: self = .bytes(Array(field.value.bytes))
        case AMQP_FIELD_KIND_TIMESTAMP.rawValue:
            self = .timestamp(
                Int64(clamping: field.value.u64.multipliedReportingOverflow(by: 1000).overflow ? UInt64.max : field.value.u64 * 1000))
        case AMQP_FIELD_KIND_ARRAY.rawValue where depth < 32:
            let array = field.value.array
            self = .array((0..<Int(max(0, array.num_entries))).map { HeaderValue(array.entries[$0], depth: depth + 1) })
        case AMQP_FIELD_KIND_TABLE.rawValue where depth < 32:
            self = .table(Self.members(field.value.table, depth: depth + 1))
        default: self = .null
        }
    }

    static func members(_ table: amqp_table_t, depth: Int = 0) -> [String: HeaderValue] {
        var members: [String: HeaderValue] = [:]
        for index in 0..<Int(max(0, table.num_entries)) {
            let entry = table.entries[index]
            members[String(lossy: entry.key)] = HeaderValue(entry.value, depth: depth)
        }
        return members
    }

    private static func decimal(_ decimal: amqp_decimal_t) -> String {
        let digits = String(decimal.value)
        let scale = Int(decimal.decimals)
        guard scale > 0 else { return digits }
        let padded = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
        return "\(padded.dropLast(scale)).\(padded.suffix(scale))"
    }

    /// How many bytes the value takes in an encoded table, its type byte included.
    var encodedSize: Int {
        switch self {
        case .string(let text): 5 + text.utf8.count
        case .bytes(let array): 5 + array.count
        case .integer, .double, .timestamp: 9
        case .boolean: 2
        case .null: 1
        case .array(let values): values.reduce(5) { $0 + $1.encodedSize }
        case .table(let members): members.reduce(5) { $0 + 1 + $1.key.utf8.count + $1.value.encodedSize }
        }
    }
}

extension Array where Element == UInt8 {
    init(_ bytes: amqp_bytes_t) {
        guard let start = bytes.bytes, bytes.len > 0 else {
            self = []
            return
        }
        self.init(UnsafeRawBufferPointer(start: start, count: bytes.len))
    }
}

extension String {
    /// Nil when the bytes are not UTF-8.
    init?(checked bytes: amqp_bytes_t) {
        guard let start = bytes.bytes, bytes.len > 0 else {
            self = ""
            return
        }
        let buffer = UnsafeRawBufferPointer(start: start, count: bytes.len)
        guard let text = String(validating: buffer, as: UTF8.self) else { return nil }
        self = text
    }

    init(lossy bytes: amqp_bytes_t) {
        self = String(checked: bytes) ?? String(decoding: [UInt8](bytes), as: UTF8.self)
    }
}
