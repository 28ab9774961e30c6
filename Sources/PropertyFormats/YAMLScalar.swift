internal import ConfigModel
internal import Crypto

/// The type that YAML 1.1 gives to a scalar, by the rules of SnakeYAML with timestamps switched off, as Spring Boot uses it.
enum YAMLScalar {
    case null
    case merge
    case value(PropertyValue)

    struct Invalid: Error {
        var reason: String
    }

    /// By an explicit tag, or by the text when it is plain; quoted text without a tag is a string.
    init(_ text: String, plain: Bool, tag: YAMLTag?) throws(Invalid) {
        switch tag {
        case nil: self = plain ? try Self.resolved(text) : .value(.string(text))
        case .string: self = .value(.string(text))
        case .integer: self = .value(try Self.integer(text))
        case .float: self = .value(try Self.float(text))
        case .boolean:
            guard let boolean = Self.boolean(text.lowercased()) else { throw Invalid(reason: "a !!bool that is neither true nor false") }
            self = .value(.boolean(boolean))
        case .null: self = .null
        case .merge: self = .merge
        case .binary:
            guard let bytes = Base64.decode(String(text.filter { !$0.isWhitespace })) else {
                throw Invalid(reason: "a !!binary that is not base64")
            }
            self = .value(.binary(bytes))
        case .timestamp:
            guard let time = YAMLTimestamp.milliseconds(text) else { throw Invalid(reason: "a !!timestamp that is no date or time") }
            self = .value(.timestamp(milliseconds: time))
        case .sequence, .mapping, .set, .orderedMapping:
            throw Invalid(reason: "text where its tag asks for a collection")
        }
    }

    /// Whether plain `text` is a string to SnakeYAML with all its types, timestamps too.
    static func isString(_ text: String) -> Bool {
        if text == "=" { return true }
        guard case .value(.string)? = try? resolved(text) else { return false }
        return !YAMLTimestamp.hasShape(text)
    }

    private static func resolved(_ text: String) throws(Invalid) -> YAMLScalar {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "<<": return .merge
        case "=": throw Invalid(reason: "a plain = is reserved in YAML 1.1: quote it")
        default: break
        }
        guard let first = text.utf8.first else { return .null }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            let bytes = Array(text.utf8)
            if YAMLNumberShape.isInteger(bytes) { return .value(try integer(text)) }
            if YAMLNumberShape.isFloat(bytes) { return .value(try float(text)) }
        default:
            if let boolean = plainBoolean(text) { return .value(.boolean(boolean)) }
        }
        return .value(.string(text))
    }

    /// Only all lower case, all upper case and a capital first letter: `tRUE` is text.
    private static func plainBoolean(_ text: String) -> Bool? {
        guard text.utf8.count <= 5 else { return nil }
        let lower = text.lowercased()
        guard text == lower || text == text.uppercased() || text == lower.prefix(1).uppercased() + lower.dropFirst() else { return nil }
        return boolean(lower)
    }

    private static func boolean(_ lower: String) -> Bool? {
        switch lower {
        case "yes", "true", "on": true
        case "no", "false", "off": false
        default: nil
        }
    }

    private static func integer(_ text: String) throws(Invalid) -> PropertyValue {
        var digits = text.utf8.filter { $0 != UInt8(ascii: "_") }[...]
        var negative = false
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            negative = sign == UInt8(ascii: "-")
            digits = digits.dropFirst()
        }
        let number: DecimalNumber?
        if digits.elementsEqual("0".utf8) {
            number = DecimalNumber(digits, radix: 10)
        } else if digits.starts(with: "0b".utf8) {
            number = DecimalNumber(digits.dropFirst(2), radix: 2)
        } else if digits.starts(with: "0x".utf8) {
            number = DecimalNumber(digits.dropFirst(2), radix: 16)
        } else if digits.first == UInt8(ascii: "0") {
            number = DecimalNumber(digits.dropFirst(), radix: 8)
        } else if digits.contains(UInt8(ascii: ":")) {
            number = DecimalNumber(sexagesimal: digits)
        } else {
            number = DecimalNumber(digits, radix: 10)
        }
        guard let number else { throw Invalid(reason: "not an integer, or one with too many digits") }
        return .integer(negative && number.digits != "0" ? "-" + number.digits : number.digits)
    }

    private static func float(_ text: String) throws(Invalid) -> PropertyValue {
        var digits = text.utf8.filter { $0 != UInt8(ascii: "_") }[...]
        var sign = 1.0
        if let first = digits.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            if first == UInt8(ascii: "-") { sign = -1 }
            digits = digits.dropFirst()
        }
        let plain = String(decoding: digits, as: UTF8.self).lowercased()
        if plain == ".inf" { return .double(sign * .infinity) }
        if plain == ".nan" { return .double(.nan) }
        guard digits.count <= 4096 else { throw Invalid(reason: "a number with too many digits") }
        var value = 0.0
        for part in plain.split(separator: ":", omittingEmptySubsequences: false) {
            guard let number = decimal(part) else { throw Invalid(reason: "not a number") }
            value = value * 60 + number
        }
        return .double(sign * value)
    }

    /// Decimal digits with an optional point and exponent: `1.`, `.5` and `1.e3` too, but no hexadecimal forms or names.
    private static func decimal(_ text: Substring) -> Double? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x65 || $0 == 0x2D || $0 == 0x2B }) else {
            return nil
        }
        let halves = text.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
        let mantissa = halves[0].split(separator: ".", omittingEmptySubsequences: false)
        guard mantissa.count <= 2, !mantissa.allSatisfy(\.isEmpty) else { return nil }
        let whole = mantissa[0].isEmpty ? "0" : mantissa[0]
        let fraction = mantissa.count == 2 && !mantissa[1].isEmpty ? mantissa[1] : "0"
        return Double("\(whole).\(fraction)" + (halves.count == 2 ? "e\(halves[1])" : ""))
    }
}
