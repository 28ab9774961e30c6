package import ConfigModel

/// `.properties` as Java writes them, in ASCII: whatever reads such files reads these.
package enum JavaPropertiesText {
    /// Lines `key=value` in the order given.
    package static func write(_ properties: some Sequence<Property>) -> String {
        var text = ""
        for property in properties {
            write(property.key, isKey: true, to: &text)
            text += "="
            write(property.value.text, isKey: false, to: &text)
            text += "\n"
        }
        return text
    }

    private static func write(_ part: String, isKey: Bool, to text: inout String) {
        var isFirst = true
        for unit in part.utf16 {
            switch unit {
            case 0x09: text += "\\t"
            case 0x0A: text += "\\n"
            case 0x0C: text += "\\f"
            case 0x0D: text += "\\r"
            case 0x5C: text += "\\\\"
            case 0x20: text += isKey || isFirst ? "\\ " : " "
            case 0x3D, 0x3A, 0x23, 0x21:
                if isKey || isFirst { text += "\\" }
                text.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            case 0x21...0x7E: text.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16, uppercase: true)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
            isFirst = false
        }
    }
}
