/// `2024-01-31`, `2024-01-31T10:20:30Z`, `2024-01-31 10:20:30.123 +02:00`: what `!!timestamp` may stand before.
enum YAMLTimestamp {
    /// Milliseconds since 1970 in UTC, which is taken where no zone is written; nil when it is no such time.
    static func milliseconds(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        guard let year = number(&rest, 4...4), take(&rest, "-"), let month = number(&rest, 1...2), take(&rest, "-"),
            let day = number(&rest, 1...2), (1...12).contains(month), (1...daysIn(month: month, year: year)).contains(day)
        else { return nil }
        var milliseconds = Int64(days(year: year, month: month, day: day)) * 86_400_000
        if rest.isEmpty { return milliseconds }
        guard take(&rest, "T") || take(&rest, "t") || blanks(&rest) > 0 else { return nil }
        guard let hour = number(&rest, 1...2), take(&rest, ":"), let minute = number(&rest, 2...2), take(&rest, ":"),
            let second = number(&rest, 2...2), hour < 24, minute < 60, second < 60
        else { return nil }
        milliseconds += Int64(hour * 3600 + minute * 60 + second) * 1000
        if take(&rest, ".") {
            let fraction = rest.prefix { (0x30...0x39).contains($0) }
            rest = rest.dropFirst(fraction.count)
            milliseconds += Int64(((Double("0." + String(decoding: fraction.prefix(17), as: UTF8.self)) ?? 0) * 1000).rounded())
        }
        _ = blanks(&rest)
        if rest.isEmpty || take(&rest, "Z") { return rest.isEmpty ? milliseconds : nil }
        let east = take(&rest, "+")
        guard east || take(&rest, "-"), let hours = number(&rest, 1...2) else { return nil }
        var minutes = 0
        if !rest.isEmpty {
            _ = take(&rest, ":")
            guard let written = number(&rest, 2...2) else { return nil }
            minutes = written
        }
        guard rest.isEmpty else { return nil }
        let offset = Int64(hours * 60 + minutes) * 60_000
        return east ? milliseconds - offset : milliseconds + offset
    }

    /// Whether SnakeYAML takes plain `text` for a timestamp: a date with two digits each, or date and time.
    static func hasShape(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        guard number(&rest, 4...4) != nil, take(&rest, "-") else { return false }
        let date = rest
        guard number(&rest, 1...2) != nil, take(&rest, "-"), number(&rest, 1...2) != nil else { return false }
        if rest.isEmpty { return date.count == 5 }
        guard take(&rest, "T") || take(&rest, "t") || blanks(&rest) > 0 else { return false }
        guard number(&rest, 1...2) != nil, take(&rest, ":"), number(&rest, 2...2) != nil, take(&rest, ":"), number(&rest, 2...2) != nil
        else {
            return false
        }
        if take(&rest, ".") { rest = rest.drop { (0x30...0x39).contains($0) } }
        _ = blanks(&rest)
        if rest.isEmpty || take(&rest, "Z") { return rest.isEmpty }
        guard take(&rest, "+") || take(&rest, "-"), number(&rest, 1...2) != nil else { return false }
        return rest.isEmpty || (take(&rest, ":") && number(&rest, 2...2) != nil && rest.isEmpty)
    }

    private static func number(_ text: inout ArraySlice<UInt8>, _ width: ClosedRange<Int>) -> Int? {
        let digits = text.prefix(width.upperBound).prefix { (0x30...0x39).contains($0) }
        guard digits.count >= width.lowerBound else { return nil }
        text = text.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func take(_ text: inout ArraySlice<UInt8>, _ character: Unicode.Scalar) -> Bool {
        guard text.first == UInt8(ascii: character) else { return false }
        text = text.dropFirst()
        return true
    }

    private static func blanks(_ text: inout ArraySlice<UInt8>) -> Int {
        let blanks = text.prefix { $0 == 0x20 || $0 == 0x09 }
        text = text.dropFirst(blanks.count)
        return blanks.count
    }

    private static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01 in the Gregorian calendar.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
