import Glibc
import Locking

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
        pool.withLock { random(using: &$0) }
    }

    private static let pool = Locked(RandomPool())

    public static func random(using generator: inout some RandomNumberGenerator) -> String {
        let high = generator.next() & ~0xF000 | 0x4000
        let low = generator.next() & ~(3 << 62) | 2 << 62
        return String(unsafeUninitializedCapacity: 36) { text in
            var index = 0
            for digit in 0..<32 {
                if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                    text[index] = 45
                    index += 1
                }
                let half = digit < 16 ? high : low
                let value = UInt8(truncatingIfNeeded: half >> UInt64(60 - (digit & 15) * 4)) & 15
                text[index] = value < 10 ? 48 + value : 87 + value
                index += 1
            }
            return 36
        }
    }
}

/// The system's random numbers, fetched 32 at a time: a call of the kernel for each costs more than the identifier.
private struct RandomPool: RandomNumberGenerator {
    private var numbers: [UInt64] = []

    mutating func next() -> UInt64 {
        if let number = numbers.popLast() { return number }
        numbers = [UInt64](repeating: 0, count: 32)
        // 256 bytes are what one call gives at most; it fails for more only.
        guard numbers.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) == 0 else {
            numbers = []
            var system = SystemRandomNumberGenerator()
            return system.next()
        }
        return numbers.removeLast()
    }
}
