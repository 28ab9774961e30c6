/// Reads JSON (RFC 8259) from outside: strict grammar, bounded depth, never traps. The one reader of the program: the order of members and the
/// digits of numbers are kept.
package struct JSONReader {
    private let bytes: [UInt8]
    private var index = 0
    private var depth = 0
    private let refusesHalves: Bool
    /// Deeper nesting is refused: the reader recurses, and no document of ours needs it.
    private static let depthLimit = 64

    private init(_ bytes: [UInt8], refusesHalves: Bool) {
        self.bytes = bytes
        self.refusesHalves = refusesHalves
    }

    /// Reads one document. Accepts UTF-8, with or without byte order mark, and UTF-16; white space around it. What follows the document is an
    /// error unless `ignoringRest` is true; an escape that is half a character becomes U+FFFD unless `refusingHalves` is true.
    package static func read(
        _ bytes: [UInt8], ignoringRest: Bool = false, refusingHalves: Bool = false
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(try utf8(bytes), refusesHalves: refusingHalves)
        reader.skipBlanks()
        guard reader.index < reader.bytes.count else { throw JSONError("there is no JSON document: the body is empty", at: 0) }
        let value = try reader.value()
        reader.skipBlanks()
        guard ignoringRest || reader.index == reader.bytes.count else {
            throw JSONError("more text follows the JSON document", at: reader.index)
        }
        return value
    }

    /// Where the value lies that `path` leads to, member by member, in a document of UTF-8; nil where there is none. For whoever changes one value
    /// and sends back all others as they came, byte for byte.
    package static func range(of path: [String], in bytes: [UInt8]) throws(JSONError) -> Range<Int>? {
        var reader = JSONReader(bytes, refusesHalves: false)
        reader.skipBlanks()
        let range = try reader.locate(path[...])
        reader.skipBlanks()
        guard reader.index == reader.bytes.count else { throw JSONError("more text follows the JSON document", at: reader.index) }
        return range
    }

    /// As `value()`, for the range of the value that `path` leads to.
    private mutating func locate(_ path: ArraySlice<String>) throws(JSONError) -> Range<Int>? {
        guard let name = path.first, index < bytes.count, bytes[index] == UInt8(ascii: "{") else {
            let start = index
            _ = try value()
            return path.isEmpty ? start..<index : nil
        }
        var range: Range<Int>?
        try members { reader, found throws(JSONError) in
            if found == name, range == nil { range = try reader.locate(path.dropFirst()) } else { _ = try reader.value() }
        }
        return range
    }

    /// The document's bytes as UTF-8 without byte order mark.
    private static func utf8(_ bytes: [UInt8]) throws(JSONError) -> [UInt8] {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return Array(bytes.dropFirst(3)) }
        guard bytes.count >= 2 else { return bytes }
        let bigEndian: Bool
        var start = 0
        switch (bytes[0], bytes[1]) {
        case (0xFE, 0xFF):
            bigEndian = true
            start = 2
        case (0xFF, 0xFE):
            bigEndian = false
            start = 2
        case (0, 1...): bigEndian = true
        case (1..., 0): bigEndian = false
        default: return bytes
        }
        guard bytes.count % 2 == 0 else { throw JSONError("the text is UTF-16 with half a character at its end", at: bytes.count) }
        let units = stride(from: start, to: bytes.count, by: 2).map { index in
            let (first, second) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
            return bigEndian ? first << 8 | second : second << 8 | first
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw JSONError("the text is not valid UTF-16", at: 0) }
        return Array(text.utf8)
    }

    private mutating func skipBlanks() {
        while index < bytes.count, bytes[index] == 32 || bytes[index] == 10 || bytes[index] == 13 || bytes[index] == 9 { index += 1 }
    }

    private func fail(_ message: String) -> JSONError { JSONError(message, at: index) }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        guard index < bytes.count else { throw fail("the JSON document ends too early") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .boolean(true))
        case UInt8(ascii: "f"): return try literal("false", .boolean(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), 48...57: return .number(try number())
        default: throw fail("this is not JSON")
        }
    }

    private mutating func literal(_ text: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[index...].starts(with: text.utf8) else { throw fail("this is not JSON") }
        index += text.utf8.count
        return value
    }

    private mutating func descend() throws(JSONError) {
        depth += 1
        guard depth <= Self.depthLimit else { throw fail("the JSON document is nested more than \(Self.depthLimit) levels deep") }
        index += 1
        skipBlanks()
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONMember] = []
        try self.members { reader, name throws(JSONError) in members.append(JSONMember(name, try reader.value())) }
        return .object(members)
    }

    /// Calls `each` at the value of each member.
    private mutating func members(_ each: (inout JSONReader, String) throws(JSONError) -> Void) throws(JSONError) {
        try descend()
        defer { depth -= 1 }
        if take(UInt8(ascii: "}")) { return }
        while true {
            skipBlanks()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw fail("a member's name is missing") }
            let name = try string()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw fail("a colon is missing") }
            skipBlanks()
            try each(&self, name)
            skipBlanks()
            if take(UInt8(ascii: "}")) { return }
            guard take(UInt8(ascii: ",")) else { throw fail("a comma or the object's end is missing") }
        }
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        try descend()
        defer { depth -= 1 }
        var values: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(values) }
        while true {
            skipBlanks()
            values.append(try value())
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(values) }
            guard take(UInt8(ascii: ",")) else { throw fail("a comma or the array's end is missing") }
        }
    }

    private mutating func number() throws(JSONError) -> String {
        let start = index
        func isDigit(_ index: Int) -> Bool { index < bytes.count && (48...57).contains(bytes[index]) }
        _ = take(UInt8(ascii: "-"))
        guard isDigit(index) else { throw fail("a number's digits are missing") }
        if !take(48) { while isDigit(index) { index += 1 } }
        if take(UInt8(ascii: ".")) {
            guard isDigit(index) else { throw fail("a number's digits are missing") }
            while isDigit(index) { index += 1 }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard isDigit(index) else { throw fail("a number's digits are missing") }
            while isDigit(index) { index += 1 }
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func string() throws(JSONError) -> String {
        index += 1
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\"), bytes[index] >= 32 { index += 1 }
        // Most texts have no escapes.
        if index < bytes.count, bytes[index] == UInt8(ascii: "\"") {
            defer { index += 1 }
            return try string(bytes[start..<index])
        }
        var text = Array(bytes[start..<index])
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return try string(text[...])
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<32: throw fail("a control character stands unescaped in a text")
            default: text.append(byte)
            }
        }
        throw fail("a text is not closed")
    }

    private func string(_ text: ArraySlice<UInt8>) throws(JSONError) -> String {
        guard let string = String(validating: text, as: UTF8.self) else { throw fail("a text is not valid UTF-8") }
        return string
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard index < bytes.count else { throw fail("a text is not closed") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "u"):
            var units = [try unit()]
            if (0xD800...0xDBFF).contains(units[0]), index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
                bytes[index + 1] == UInt8(ascii: "u")
            {
                let before = index
                index += 2
                let second = try unit()
                if (0xDC00...0xDFFF).contains(second) { units.append(second) } else { index = before }
            }
            if refusesHalves, units.count == 1, (0xD800...0xDFFF).contains(units[0]) { throw fail("a text holds half a character") }
            text += Array(String(decoding: units, as: UTF16.self).utf8)  // half a character becomes U+FFFD
        default: throw fail("a text holds an unknown escape")
        }
    }

    private mutating func unit() throws(JSONError) -> UInt16 {
        guard index + 4 <= bytes.count, bytes[index..<index + 4].allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
        else { throw fail("a text holds a broken \\u escape") }
        index += 4
        return unit
    }
}

/// Why a text is no JSON document, and at which byte; never the text itself.
package struct JSONError: Error, Hashable, CustomStringConvertible {
    package let message: String
    package let position: Int
    init(_ message: String, at position: Int) {
        self.message = message
        self.position = position
    }
    package var description: String { "\(message) (byte \(position))" }
}
