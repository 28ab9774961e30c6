/// Reads JSON (RFC 8259) strictly, with a bound on its depth.
struct WireReader {
    private let bytes: [UInt8]
    private var index = 0
    private static let deepest = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func whole() throws(WireValue.Malformed) -> WireValue {
        let value = try value(depth: 0)
        skipBlanks()
        guard index == bytes.count else { throw malformed("more follows") }
        return value
    }

    private func malformed(_ what: String) -> WireValue.Malformed { WireValue.Malformed(offset: index, what: what) }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    private mutating func peek() throws(WireValue.Malformed) -> UInt8 {
        skipBlanks()
        guard index < bytes.count else { throw malformed("it ends too soon") }
        return bytes[index]
    }

    private mutating func expect(_ word: StaticString, _ value: WireValue) throws(WireValue.Malformed) -> WireValue {
        let matches = word.withUTF8Buffer { word in
            index + word.count <= bytes.count && bytes[index..<index + word.count].elementsEqual(word)
        }
        guard matches else { throw malformed("an unknown word") }
        index += word.utf8CodeUnitCount
        return value
    }

    private mutating func value(depth: Int) throws(WireValue.Malformed) -> WireValue {
        guard depth < Self.deepest else { throw malformed("it is nested deeper than \(Self.deepest)") }
        switch try peek() {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try expect("true", .boolean(true))
        case UInt8(ascii: "f"): return try expect("false", .boolean(false))
        case UInt8(ascii: "n"): return try expect("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(WireValue.Malformed) -> WireValue {
        index += 1
        var members: [WireValue.Member] = []
        if try peek() == UInt8(ascii: "}") {
            index += 1
            return .object([])
        }
        while true {
            guard try peek() == UInt8(ascii: "\"") else { throw malformed("a name must be here") }
            let name = try string()
            guard try peek() == UInt8(ascii: ":") else { throw malformed("a colon must be here") }
            index += 1
            members.append(WireValue.Member(name, try value(depth: depth + 1)))
            let next = try peek()
            index += 1
            if next == UInt8(ascii: "}") { return .object(members) }
            guard next == UInt8(ascii: ",") else { throw malformed("a comma or a brace must be here") }
        }
    }

    private mutating func array(depth: Int) throws(WireValue.Malformed) -> WireValue {
        index += 1
        var values: [WireValue] = []
        if try peek() == UInt8(ascii: "]") {
            index += 1
            return .array([])
        }
        while true {
            values.append(try value(depth: depth + 1))
            let next = try peek()
            index += 1
            if next == UInt8(ascii: "]") { return .array(values) }
            guard next == UInt8(ascii: ",") else { throw malformed("a comma or a bracket must be here") }
        }
    }

    private mutating func number() throws(WireValue.Malformed) -> WireValue {
        let start = index
        var isInteger = true
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
            case UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): isInteger = false
            default: return try number(start, isInteger)
            }
            index += 1
        }
        return try number(start, isInteger)
    }

    private func number(_ start: Int, _ isInteger: Bool) throws(WireValue.Malformed) -> WireValue {
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isInteger, let number = Int64(text) { return .integer(number) }
        guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "."), let number = Double(text),
            number.isFinite
        else {
            throw malformed("no value")
        }
        return .double(number)
    }

    private mutating func string() throws(WireValue.Malformed) -> String {
        index += 1
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\"), bytes[index] >= 0x20 {
            index += 1
        }
        if index < bytes.count, bytes[index] == UInt8(ascii: "\"") {
            defer { index += 1 }
            return try text(bytes[start..<index])
        }
        var content = Array(bytes[start..<index])
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return try text(content[...])
            case UInt8(ascii: "\\"): try escape(into: &content)
            case 0..<0x20: throw malformed("a control character in a text")
            default: content.append(byte)
            }
        }
        throw malformed("a text does not end")
    }

    private func text(_ content: ArraySlice<UInt8>) throws(WireValue.Malformed) -> String {
        guard let text = String(validating: content, as: UTF8.self) else { throw malformed("a text is not UTF-8") }
        return text
    }

    private mutating func escape(into content: inout [UInt8]) throws(WireValue.Malformed) {
        guard index < bytes.count else { throw malformed("a text does not end") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(8)
        case UInt8(ascii: "f"): content.append(12)
        case UInt8(ascii: "n"): content.append(10)
        case UInt8(ascii: "r"): content.append(13)
        case UInt8(ascii: "t"): content.append(9)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code), index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
                bytes[index + 1] == UInt8(ascii: "u")
            {
                index += 2
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw malformed("half a character") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw malformed("half a character") }
            content += Array(String(Character(scalar)).utf8)
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(WireValue.Malformed) -> UInt32 {
        guard index + 4 <= bytes.count else { throw malformed("an escape that does not end") }
        var code: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): code = code << 4 | UInt32(byte - 48)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): code = code << 4 | UInt32(byte - 87)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): code = code << 4 | UInt32(byte - 55)
            default: throw malformed("no hexadecimal digit")
            }
        }
        index += 4
        return code
    }
}
