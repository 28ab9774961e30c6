internal import Crypto

extension PropertyValue {
    /// The value as text: numbers as Java prints them, `true`/`false`, timestamps in ISO 8601, binary in base64. What a process gets in its environment.
    public var text: String {
        switch self {
        case .string(let text): text
        case .integer(let digits): digits
        case .double(let number): Self.javaText(of: number)
        case .boolean(let value): value ? "true" : "false"
        case .timestamp(let milliseconds): ISOTime(milliseconds: milliseconds).text
        case .binary(let bytes): Base64.encode(bytes)
        }
    }

    /// `Double.toString` of Java: the shortest digits that name the number, with an exponent below 10⁻³ and from 10⁷.
    private static func javaText(of number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        if number == 0 { return number.sign == .minus ? "-0.0" : "0.0" }
        var digits: [UInt8] = []
        // The number is 0.d₁d₂d₃… × 10^point.
        var point = 0
        var seenPoint = false
        var exponent = 0
        let halves = number.magnitude.description.utf8.split(separator: UInt8(ascii: "e"))
        if halves.count == 2 { exponent = Int(String(decoding: halves[1], as: UTF8.self)) ?? 0 }
        for byte in halves[0] {
            if byte == UInt8(ascii: ".") {
                seenPoint = true
            } else if digits.isEmpty && byte == UInt8(ascii: "0") {
                if seenPoint { point -= 1 }
            } else {
                digits.append(byte)
                if !seenPoint { point += 1 }
            }
        }
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        point += exponent
        let sign = number < 0 ? "-" : ""
        func text(_ part: some Sequence<UInt8>) -> String { String(decoding: Array(part), as: UTF8.self) }
        guard (-2...7).contains(point) else {
            return sign + text(digits.prefix(1)) + "." + (digits.count > 1 ? text(digits.dropFirst()) : "0") + "E\(point - 1)"
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + text(digits) }
        if digits.count <= point { return sign + text(digits) + String(repeating: "0", count: point - digits.count) + ".0" }
        return sign + text(digits.prefix(point)) + "." + text(digits.dropFirst(point))
    }
}
