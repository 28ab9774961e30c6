/// Times in ISO 8601, in the forms that JSON libraries write.
package enum ISOTime {
    /// Milliseconds since 1970 of `2024-01-01T00:00:00Z`, with or without a fraction, with `Z`, `+01:00`, `+0100` or no offset (then UTC), or a
    /// date alone. Nil for anything else.
    package static func milliseconds(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        func number(_ digits: Int) -> Int64? {
            guard rest.count >= digits, rest.prefix(digits).allSatisfy({ (48...57).contains($0) }) else { return nil }
            defer { rest.removeFirst(digits) }
            return rest.prefix(digits).reduce(0) { $0 * 10 + Int64($1 - 48) }
        }
        func take(_ character: Character) -> Bool {
            guard rest.first == character.asciiValue else { return false }
            rest.removeFirst()
            return true
        }
        guard let year = number(4), take("-"), let month = number(2), take("-"), let day = number(2), (1...12).contains(month),
            (1...31).contains(day)
        else { return nil }
        var result = days(year, month, day) * 86_400_000
        if rest.isEmpty { return result }
        guard take("T") || take(" "), let hour = number(2), take(":"), let minute = number(2), hour < 24, minute < 60 else { return nil }
        result += (hour * 60 + minute) * 60_000
        if take(":") {
            guard let second = number(2), second <= 60 else { return nil }
            result += second * 1000
            if take(".") || take(",") {
                var scale: Int64 = 100
                guard let first = rest.first, (48...57).contains(first) else { return nil }
                while let digit = number(1) {
                    result += digit * scale
                    scale /= 10
                }
            }
        }
        if rest.isEmpty || rest.elementsEqual("Z".utf8) { return result }
        let sign: Int64 = rest.first == UInt8(ascii: "-") ? -1 : 1
        guard take("+") || take("-"), let hours = number(2) else { return nil }
        _ = take(":")
        guard let minutes = rest.isEmpty ? 0 : number(2), rest.isEmpty, hours < 24, minutes < 60 else { return nil }
        return result - sign * (hours * 60 + minutes) * 60_000
    }

    /// Days since 1970-01-01 in the Gregorian calendar.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let ofEra = shifted - era * 400
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }
}
