package import Foundation

/// A day of the Gregorian calendar and a minute of it, without a zone.
package struct CivilTime: Sendable, Hashable, Codable {
    /// Days since 1970-01-01.
    package var day: Int
    /// Minutes since midnight.
    package var minute: Int

    /// Seconds since 1970 as if the zone were UTC.
    package var seconds: Seconds { Double(day) * 86400 + Double(minute) * 60 }

    package init(day: Int, minute: Int) {
        self.day = day
        self.minute = minute
    }

    /// What clocks on the wall show at `time`; seconds are cut off.
    init(_ time: Seconds, in zone: TimeZone) {
        let local = time + Double(zone.secondsFromGMT(for: Date(timeIntervalSince1970: time)))
        day = Int((local / 86400).rounded(.down))
        minute = Int(((local - Double(day) * 86400) / 60).rounded(.down))
    }

    /// Year, month, day of the month and weekday (0 is Sunday) of a day.
    static func date(of day: Int) -> (year: Int, month: Int, day: Int, weekday: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1,
            ((day + 4) % 7 + 7) % 7
        )
    }

    /// The day of a date; nil when the month has no such day.
    package static func day(year: Int, month: Int, day: Int) -> Int? {
        guard (1...12).contains(month), (1...31).contains(day), (1...9999).contains(year) else { return nil }
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let result = era * 146_097 + dayOfEra - 719_468
        let back = date(of: result)
        return back.month == month && back.day == day ? result : nil
    }

    /// The moment at which clocks in `zone` show this. Where they never do, because an hour is left out in spring, the moment of the change,
    /// which is the next valid one; where they do twice, in autumn, the first.
    package func moment(in zone: TimeZone) -> Seconds {
        let local = seconds
        func offset(_ time: Seconds) -> Seconds { Double(zone.secondsFromGMT(for: Date(timeIntervalSince1970: time))) }
        // The offsets on both sides of any change that is near.
        let before = offset(local - 86400)
        let after = offset(local + 86400)
        for candidate in [local - before, local - after].sorted() where candidate + offset(candidate) == local { return candidate }
        guard before != after else { return local - before }
        // In the gap: the change lies between the two readings of the same wall time.
        var low = min(local - before, local - after) - 1
        var high = max(local - before, local - after) + 1
        let old = offset(low)
        while high - low > 0.5 {
            let middle = (low + high) / 2
            if offset(middle) == old { low = middle } else { high = middle }
        }
        return high.rounded()
    }
}
