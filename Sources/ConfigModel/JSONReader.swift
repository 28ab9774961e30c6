/// A strict reader of JSON (RFC 8259) that keeps the order of fields and the digits of numbers.
package struct JSONReader {
    package struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        /// Bytes before the place.
        package let offset: Int
        package var description: String { "not JSON at byte \(offset)" }
    }

    private static let maximumDepth = 64
    private let bytes: [UInt8]
    private var position = 0

    /// The one value that `bytes` hold. Throws when they hold anything else, are not UTF-8, or are nested deeper than 64 levels.
    package static func read(_ bytes: [UInt8]) throws(Malformed) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.position == bytes.count else { throw reader.malformed }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var malformed: Malformed { Malformed(offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: String) throws(Malformed) {
        guard bytes[position...].starts(with: word.utf8) else { throw malformed }
        position += word.utf8.count
    }

    private mutating func value(depth: Int) throws(Malformed) -> JSONValue {
        guard depth < Self.maximumDepth else { throw malformed }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try take(word: "true")
            return .boolean(true)
        case UInt8(ascii: "f"):
            try take(word: "false")
            return .boolean(false)
        case UInt8(ascii: "n"):
            try take(word: "null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func object(_ depth: Int) throws(Malformed) -> JSONValue {
        position += 1
        var fields: [JSONValue.Field] = []
        skipBlanks()
        if take("}") { return .object(fields) }
        while true {
            skipBlanks()
            let name = try string()
            skipBlanks()
            guard take(":") else { throw malformed }
            fields.append(JSONValue.Field(name: name, value: try value(depth: depth + 1)))
            skipBlanks()
            if take("}") { return .object(fields) }
            guard take(",") else { throw malformed }
        }
    }

    private mutating func array(_ depth: Int) throws(Malformed) -> JSONValue {
        position += 1
        var items: [JSONValue] = []
        skipBlanks()
        if take("]") { return .array(items) }
        while true {
            items.append(try value(depth: depth + 1))
            skipBlanks()
            if take("]") { return .array(items) }
            guard take(",") else { throw malformed }
        }
    }

    private mutating func number() throws(Malformed) -> String {
        let start = position
        _ = take("-")
        if !take("0") { guard digits() > 0 else { throw malformed } }
        if take(".") { guard digits() > 0 else { throw malformed } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() > 0 else { throw malformed }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func string() throws(Malformed) -> String {
        guard take("\"") else { throw malformed }
        let start = position
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if next == UInt8(ascii: "\"") {
            defer { position += 1 }
            guard let text = String(validating: bytes[start..<position], as: UTF8.self) else { throw malformed }
            return text
        }
        var text = Array(bytes[start..<position])
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let result = String(validating: text, as: UTF8.self) else { throw malformed }
                return result
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0x00..<0x20: throw malformed
            default: text.append(byte)
            }
        }
        throw malformed
    }

    private mutating func escape(into text: inout [UInt8]) throws(Malformed) {
        guard let byte = next else { throw malformed }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var units = [try unit()]
            if (0xD800..<0xDC00).contains(units[0]), bytes[position...].starts(with: "\\u".utf8) {
                let before = position
                position += 2
                let second = try unit()
                if (0xDC00..<0xE000).contains(second) { units.append(second) } else { position = before }
            }
            // One half of a pair alone becomes the replacement character.
            text += Array(String(decoding: units, as: UTF16.self).utf8)
        default: throw malformed
        }
    }

    private mutating func unit() throws(Malformed) -> UInt16 {
        let digits = bytes[position...].prefix(4)
        let isHexadecimal = digits.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0) }
        guard digits.count == 4, isHexadecimal, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw malformed
        }
        position += 4
        return unit
    }
}
