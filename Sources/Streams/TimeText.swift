/// Times as people and programs write them.
package enum TimeText {
    /// RFC 3339 with `Z` or an offset, as milliseconds since 1970; nil for anything else. A `+` that was read as a blank is taken for what it was.
    package static func read(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count, bytes[range].allSatisfy({ (48...57).contains($0) }) else { return nil }
            return bytes[range].reduce(0) { $0 * 10 + Int64($1 - 48) }
        }
        guard bytes.count >= 20, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84 || bytes[10] == 116, bytes[13] == 58, bytes[16] == 58,
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day), hour < 24,
            minute < 60,
            second < 61
        else { return nil }
        var index = 19
        var milliseconds: Int64 = 0
        if bytes[index] == 46 {
            index += 1
            var scale: Int64 = 100
            let start = index
            while index < bytes.count, (48...57).contains(bytes[index]) {
                milliseconds += Int64(bytes[index] - 48) * scale
                scale /= 10
                index += 1
            }
            guard index > start else { return nil }
        }
        guard index < bytes.count, let offset = offset(bytes[index...], number) else { return nil }
        return ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + milliseconds
    }

    /// Minutes east of UTC.
    private static func offset(_ rest: ArraySlice<UInt8>, _ number: (Range<Int>) -> Int64?) -> Int64? {
        let start = rest.startIndex
        if rest.elementsEqual([90]) || rest.elementsEqual([122]) { return 0 }
        guard rest.count == 6, [43, 45, 32].contains(rest[start]), rest[start + 3] == 58, let hours = number(start + 1..<start + 3),
            let minutes = number(start + 4..<start + 6), hours < 24, minutes < 60
        else { return nil }
        return (rest[start] == 45 ? -1 : 1) * (hours * 60 + minutes)
    }

    /// Days since 1970-01-01 in the Gregorian calendar.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
