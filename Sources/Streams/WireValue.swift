import JSON

/// A JSON value, for the forms in which envelopes travel over HTTP. Members keep their order; integers and other numbers stay apart.
package enum WireValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case array([WireValue])
    case object([Member])

    package struct Member: Sendable, Hashable {
        package var name: String
        package var value: WireValue
        package init(_ name: String, _ value: WireValue) {
            self.name = name
            self.value = value
        }
    }

    /// The member of that name of an object; nil where there is none, it is null, or this is no object.
    package subscript(_ name: String) -> WireValue? {
        guard case .object(let members) = self, let found = members.last(where: { $0.name == name }), found.value != .null else {
            return nil
        }
        return found.value
    }

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var array: [WireValue]? { if case .array(let values) = self { values } else { nil } }
    package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
    package var integer: Int64? { if case .integer(let number) = self { number } else { nil } }

    // MARK: Writing

    /// The value as JSON text in UTF-8.
    package var bytes: [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    package func write(to out: inout [UInt8]) {
        switch self {
        case .null: out += "null".utf8
        case .boolean(let flag): out += (flag ? "true" : "false").utf8
        case .integer(let number): out += String(number).utf8
        case .double(let number): out += (number.isFinite ? "\(number)" : "null").utf8
        case .string(let text): Self.write(text, to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                value.write(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Self.write(member.name, to: &out)
                out.append(UInt8(ascii: ":"))
                member.value.write(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func write(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0x0A: out += "\\n".utf8
            case 0x0D: out += "\\r".utf8
            case 0x09: out += "\\t".utf8
            case 0..<0x20, 0x7F: out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    // MARK: Reading

    package struct Malformed: Error, CustomStringConvertible {
        /// Where, in bytes from the start.
        package let offset: Int
        package let what: String
        package var description: String { "no JSON: \(what) at byte \(offset)" }
    }

    /// Reads one JSON value that fills the bytes. Throws for anything else, and for a number that no `Int64` or `Double` holds: no byte sequence
    /// traps.
    package init(_ bytes: [UInt8]) throws(Malformed) {
        let value: JSONValue
        do { value = try JSONReader.read(bytes, refusingHalves: true) } catch {
            throw Malformed(offset: error.position, what: error.message)
        }
        try self.init(value, bytes.count)
    }

    private init(_ value: JSONValue, _ length: Int) throws(Malformed) {
        switch value {
        case .null: self = .null
        case .boolean(let flag): self = .boolean(flag)
        case .string(let text): self = .string(text)
        case .number(let digits):
            if let number = Int64(digits) {
                self = .integer(number)
            } else if let number = Double(digits), number.isFinite {
                self = .double(number)
            } else {
                throw Malformed(offset: length, what: "a number is too large")
            }
        case .array(let items):
            var values: [WireValue] = []
            values.reserveCapacity(items.count)
            for item in items { values.append(try WireValue(item, length)) }
            self = .array(values)
        case .object(let found):
            var members: [Member] = []
            members.reserveCapacity(found.count)
            for member in found { members.append(Member(member.name, try WireValue(member.value, length))) }
            self = .object(members)
        }
    }
}
