/// A moment in UTC, taken apart by the Gregorian calendar.
package struct ISOTime: Sendable, Hashable {
    package let year: Int
    package let month: Int
    package let day: Int
    package let hour: Int
    package let minute: Int
    package let second: Int
    package let millisecond: Int
    /// 0 is Sunday.
    package let weekday: Int

    /// `milliseconds` since 1970; any value is allowed.
    package init(milliseconds: Int64) {
        let (wholeDays, rest) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
        let days = Int(rest < 0 ? wholeDays - 1 : wholeDays)
        let inDay = Int(rest < 0 ? rest + 86_400_000 : rest)
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = inDay / 3_600_000
        minute = inDay / 60_000 % 60
        second = inDay / 1000 % 60
        millisecond = inDay % 1000
        weekday = ((days + 4) % 7 + 7) % 7
    }

    /// `2024-01-31T00:00:00.000+00:00`.
    package var text: String {
        "\(date)T\(time).\(Self.padded(millisecond, 3))+00:00"
    }

    /// `2024-01-31`.
    package var date: String { "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))" }

    /// `10:20:30`.
    package var time: String { "\(Self.padded(hour, 2)):\(Self.padded(minute, 2)):\(Self.padded(second, 2))" }

    /// `number` with zeros in front up to `width` digits.
    package static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
