/// Which plain texts SnakeYAML takes for numbers, as its two regular expressions say.
enum YAMLNumberShape {
    static func isInteger(_ text: [UInt8]) -> Bool {
        let digits = unsigned(text)
        guard let first = digits.first else { return false }
        if first == UInt8(ascii: "0") {
            if digits.count == 1 { return true }
            switch digits[digits.startIndex + 1] {
            case UInt8(ascii: "b"): return isDigits(digits.dropFirst(2)) { $0 == 0x30 || $0 == 0x31 }
            case UInt8(ascii: "x"): return isDigits(digits.dropFirst(2), isHexadecimal)
            default: return isDigits(digits.dropFirst()) { (0x30...0x37).contains($0) }
            }
        }
        guard isDecimal(first) else { return false }
        let parts = digits.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        return parts[0].allSatisfy { isDecimal($0) || $0 == underscore } && parts.dropFirst().allSatisfy(isSixtieth)
    }

    static func isFloat(_ text: [UInt8]) -> Bool {
        let digits = unsigned(text)
        guard let first = digits.first else { return false }
        if first == UInt8(ascii: ".") {
            let rest = digits.dropFirst()
            switch String(decoding: rest, as: UTF8.self) {
            case "inf", "Inf", "INF": return true
            case "nan", "NaN", "NAN": return digits.count == text.count
            default: break
            }
            let fraction = rest.prefix { isDecimal($0) || $0 == underscore }
            return !fraction.isEmpty && isExponent(rest.dropFirst(fraction.count), optional: true)
        }
        guard isDecimal(first) else { return false }
        let whole = digits.prefix { isDecimal($0) || $0 == underscore }
        var rest = digits.dropFirst(whole.count)
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            rest = rest.drop { isDecimal($0) || $0 == underscore }
            return isExponent(rest, optional: true)
        }
        if rest.first == UInt8(ascii: ":") {
            guard let point = rest.firstIndex(of: UInt8(ascii: ".")) else { return false }
            let parts = rest[..<point].dropFirst().split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            return parts.allSatisfy(isSixtieth) && rest[(point + 1)...].allSatisfy { isDecimal($0) || $0 == underscore }
        }
        return isExponent(rest, optional: false)
    }

    private static let underscore = UInt8(ascii: "_")

    private static func unsigned(_ text: [UInt8]) -> ArraySlice<UInt8> {
        guard let first = text.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") else { return text[...] }
        return text.dropFirst()
    }

    private static func isDecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDecimal(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// At least one digit; underscores anywhere.
    private static func isDigits(_ text: ArraySlice<UInt8>, _ isDigit: (UInt8) -> Bool) -> Bool {
        text.contains { $0 != underscore } && text.allSatisfy { isDigit($0) || $0 == underscore }
    }

    private static func isSixtieth(_ part: ArraySlice<UInt8>) -> Bool {
        switch part.count {
        case 1: part.allSatisfy(isDecimal)
        case 2: part.allSatisfy(isDecimal) && (part.first ?? 0) <= UInt8(ascii: "5")
        default: false
        }
    }

    private static func isExponent(_ text: ArraySlice<UInt8>, optional: Bool) -> Bool {
        guard let first = text.first else { return optional }
        guard first == UInt8(ascii: "e") || first == UInt8(ascii: "E") else { return false }
        var rest = text.dropFirst()
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        return !rest.isEmpty && rest.allSatisfy(isDecimal)
    }
}
