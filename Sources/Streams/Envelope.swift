/// What travels: a payload and its headers.
public struct Envelope: Sendable, Hashable {
    /// Unique for each published event; a fresh UUID unless given.
    public var id: String
    public var payload: [UInt8]
    /// Media type of the payload; nil where the sender named none.
    public var contentType: String?
    /// Application headers. Names keep their case; those prefixed `carillon-` are Carillon's own.
    public var headers: [String: HeaderValue]
    /// Events of one key keep their order and meet in one partition.
    public var key: String?
    /// Milliseconds since 1970; set by the publisher.
    public var timestamp: Int64?

    public init(
        id: String = Identifier.random(), payload: [UInt8], contentType: String? = nil, headers: [String: HeaderValue] = [:],
        key: String? = nil, timestamp: Int64? = nil
    ) {
        self.id = id
        self.payload = payload
        self.contentType = contentType
        self.headers = headers
        self.key = key
        self.timestamp = timestamp
    }

    public init(
        id: String = Identifier.random(), text: String, contentType: String? = "text/plain", headers: [String: HeaderValue] = [:],
        key: String? = nil
    ) {
        self.init(id: id, payload: Array(text.utf8), contentType: contentType, headers: headers, key: key)
    }
}

/// A header's value, in the types that AMQP tables, Kafka's mapped headers and JSON have in common.
public enum HeaderValue: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    case string(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    case bytes([UInt8])
    /// Milliseconds since 1970.
    case timestamp(Int64)
    case array([HeaderValue])
    case table([String: HeaderValue])
    case null

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }

    /// The value as text where it has an obvious one; nil for bytes, arrays, tables and null.
    public var text: String? {
        switch self {
        case .string(let text): text
        case .integer(let number), .timestamp(let number): String(number)
        case .double(let number): String(number)
        case .boolean(let flag): String(flag)
        case .bytes, .array, .table, .null: nil
        }
    }

    public var integer: Int64? {
        switch self {
        case .integer(let number), .timestamp(let number): number
        case .string(let text): Int64(text)
        default: nil
        }
    }
}

/// Random identifiers.
public enum Identifier {
    /// A version 4 UUID in lower case.
    public static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> String {
        var high = generator.next()
        var low = generator.next()
        high = high & ~0xF000 | 0x4000
        low = low & ~(3 << 62) | 2 << 62
        func hex(_ number: UInt64) -> String {
            let text = String(number, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        let digits = Array((hex(high) + hex(low)).utf8)
        var text: [UInt8] = []
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append(45) }
            text.append(digit)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
