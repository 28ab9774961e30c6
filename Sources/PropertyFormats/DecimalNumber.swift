/// An integer of any size as decimal digits, made from another radix.
struct DecimalNumber {
    /// Without sign and leading zeros; `0` for zero.
    let digits: String

    /// Turning n digits of another radix into decimal ones takes n² steps: more than these nobody means.
    private static let maximumDigits = 4096

    /// Nil when a byte is no digit of `radix`, when there is none, or when there are too many.
    init?(_ text: ArraySlice<UInt8>, radix: UInt64) {
        guard !text.isEmpty else { return nil }
        if radix == 10 {
            guard text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            let significant = text.drop { $0 == 0x30 }
            digits = significant.isEmpty ? "0" : String(decoding: significant, as: UTF8.self)
            return
        }
        guard text.count <= Self.maximumDigits else { return nil }
        var number = Limbs()
        for byte in text {
            guard let digit = Self.value(of: byte), digit < radix else { return nil }
            number.multiply(by: radix, adding: digit)
        }
        digits = number.digits
    }

    /// `12:30:45`: digits to the base of sixty.
    init?(sexagesimal text: ArraySlice<UInt8>) {
        guard text.count <= Self.maximumDigits else { return nil }
        var number = Limbs()
        for (index, part) in text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).enumerated() {
            if index == 0 {
                guard !part.isEmpty else { return nil }
                for byte in part {
                    guard let digit = Self.value(of: byte), digit < 10 else { return nil }
                    number.multiply(by: 10, adding: digit)
                }
            } else {
                guard let sixtieth = UInt64(String(decoding: part, as: UTF8.self)), sixtieth < 1 << 32 else { return nil }
                number.multiply(by: 60, adding: sixtieth)
            }
        }
        digits = number.digits
    }

    private static func value(of byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte - 0x30)
        case 0x41...0x46: UInt64(byte - 0x41) + 10
        case 0x61...0x66: UInt64(byte - 0x61) + 10
        default: nil
        }
    }

    /// Groups of nine decimal digits, lowest first.
    private struct Limbs {
        private var groups: [UInt64] = []

        mutating func multiply(by factor: UInt64, adding addend: UInt64) {
            var carry = addend
            for index in groups.indices {
                let sum = groups[index] * factor + carry
                groups[index] = sum % 1_000_000_000
                carry = sum / 1_000_000_000
            }
            while carry > 0 {
                groups.append(carry % 1_000_000_000)
                carry /= 1_000_000_000
            }
        }

        var digits: String {
            guard let last = groups.last else { return "0" }
            return groups.dropLast().reversed().reduce(into: String(last)) { text, group in
                let digits = String(group)
                text += String(repeating: "0", count: 9 - digits.count) + digits
            }
        }
    }
}
