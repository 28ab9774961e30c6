internal import Streams

/// Headers as bytes for the durable log: a tag for each value, lengths and numbers in little-endian.
enum HeaderCodec {
    struct Broken: Error {}
    private static let deepest = 64

    static func encode(_ headers: [String: HeaderValue]) -> [UInt8]? {
        guard !headers.isEmpty else { return nil }
        var bytes: [UInt8] = []
        append(table: headers, to: &bytes)
        return bytes
    }

    static func decode(_ bytes: [UInt8]?) throws(Broken) -> [String: HeaderValue] {
        guard let bytes else { return [:] }
        var rest = bytes[...]
        return try table(&rest, depth: 0)
    }

    private static func append(table: [String: HeaderValue], to bytes: inout [UInt8]) {
        append(table.count, to: &bytes)
        for (name, value) in table {
            append(Array(name.utf8), to: &bytes)
            append(value, to: &bytes)
        }
    }

    private static func append(_ value: HeaderValue, to bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(0)
        case .string(let text):
            bytes.append(1)
            append(Array(text.utf8), to: &bytes)
        case .integer(let number):
            bytes.append(2)
            append(UInt64(bitPattern: number), to: &bytes)
        case .double(let number):
            bytes.append(3)
            append(number.bitPattern, to: &bytes)
        case .boolean(let flag): bytes.append(flag ? 5 : 4)
        case .bytes(let content):
            bytes.append(6)
            append(content, to: &bytes)
        case .timestamp(let number):
            bytes.append(7)
            append(UInt64(bitPattern: number), to: &bytes)
        case .array(let values):
            bytes.append(8)
            append(values.count, to: &bytes)
            for value in values { append(value, to: &bytes) }
        case .table(let values):
            bytes.append(9)
            append(table: values, to: &bytes)
        }
    }

    private static func append(_ content: [UInt8], to bytes: inout [UInt8]) {
        append(content.count, to: &bytes)
        bytes += content
    }

    private static func append(_ count: Int, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    private static func table(_ rest: inout ArraySlice<UInt8>, depth: Int) throws(Broken) -> [String: HeaderValue] {
        guard depth < deepest else { throw Broken() }
        var table: [String: HeaderValue] = [:]
        for _ in 0..<(try count(&rest)) {
            let name = String(decoding: try content(&rest), as: UTF8.self)
            table[name] = try value(&rest, depth: depth + 1)
        }
        return table
    }

    private static func value(_ rest: inout ArraySlice<UInt8>, depth: Int) throws(Broken) -> HeaderValue {
        guard depth < deepest, let tag = rest.popFirst() else { throw Broken() }
        switch tag {
        case 0: return .null
        case 1: return .string(String(decoding: try content(&rest), as: UTF8.self))
        case 2: return .integer(Int64(bitPattern: try number(&rest)))
        case 3: return .double(Double(bitPattern: try number(&rest)))
        case 4, 5: return .boolean(tag == 5)
        case 6: return .bytes(try content(&rest))
        case 7: return .timestamp(Int64(bitPattern: try number(&rest)))
        case 8:
            var values: [HeaderValue] = []
            for _ in 0..<(try count(&rest)) { values.append(try value(&rest, depth: depth + 1)) }
            return .array(values)
        case 9: return .table(try table(&rest, depth: depth + 1))
        default: throw Broken()
        }
    }

    private static func count(_ rest: inout ArraySlice<UInt8>) throws(Broken) -> Int {
        guard rest.count >= 4 else { throw Broken() }
        let count = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        rest.removeFirst(4)
        guard count <= rest.count else { throw Broken() }  // each counted thing takes at least a byte
        return count
    }

    private static func content(_ rest: inout ArraySlice<UInt8>) throws(Broken) -> [UInt8] {
        let count = try count(&rest)
        defer { rest.removeFirst(count) }
        return Array(rest.prefix(count))
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) throws(Broken) -> UInt64 {
        guard rest.count >= 8 else { throw Broken() }
        defer { rest.removeFirst(8) }
        return rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
