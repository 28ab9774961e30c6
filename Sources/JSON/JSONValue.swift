/// A JSON document as a value: the order of members is kept, numbers keep their text, so that what a peer wrote can be passed on unchanged.
package enum JSONValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    /// The number as it was written: `1`, `1.50`, `1e3`.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])

    /// The first member of that name; nil where there is none or this is no object.
    package subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// Nil when this is no text.
    package var string: String? { if case .string(let text) = self { text } else { nil } }

    /// Empty when this is no list.
    package var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }

    /// Empty when this is no object.
    package var members: [JSONMember] { if case .object(let members) = self { members } else { [] } }

    /// Text, numbers and booleans as text, the way Jackson reads a scalar into a `String`; nil for null, arrays and objects.
    package var scalarText: String? {
        switch self {
        case .string(let text), .number(let text): text
        case .boolean(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    /// A number, or text that is one; a fraction is cut off. Nil for all else and for what does not fit.
    package var integer: Int64? {
        switch self {
        case .number(let text), .string(let text):
            if let number = Int64(text) { return number }
            guard let number = Double(text), number.isFinite, abs(number) < 9.0e18 else { return nil }
            return Int64(number)
        case .null, .boolean, .array, .object: return nil
        }
    }

    /// Appends the value as JSON text.
    package func append(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .boolean(let flag): text += flag ? "true" : "false"
        case .number(let number): text += number
        case .string(let string): Self.append(string, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.append(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                Self.append(member.name, to: &text)
                text += ":"
                member.value.append(to: &text)
            }
            text += "}"
        }
    }

    /// The value as JSON text.
    package var written: String {
        var text = ""
        append(to: &text)
        return text
    }

    /// Appends a JSON string as Jackson 2 writes it: characters beyond the basic plane as two escapes, control characters in upper case hex.
    package static func append(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case _ where scalar.value < 0x20: escape(UInt16(scalar.value), to: &text)
            case _ where scalar.value > 0xFFFF: for unit in String(scalar).utf16 { escape(unit, to: &text) }
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    private static func escape(_ unit: UInt16, to text: inout String) {
        let hex = String(unit, radix: 16, uppercase: true)
        text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    }
}

/// One member of a JSON object.
package struct JSONMember: Sendable, Hashable {
    package var name: String
    package var value: JSONValue
    package init(_ name: String, _ value: JSONValue) {
        self.name = name
        self.value = value
    }
}
