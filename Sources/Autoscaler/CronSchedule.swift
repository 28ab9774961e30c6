package import Foundation

/// Minute, hour, day of the month, month and weekday, as `crontab(5)` has them: numbers, names, ranges, steps and lists. When both days are
/// restricted, either is enough.
package struct CronSchedule: Sendable, Hashable, Codable {
    package let text: String
    private var minutes: UInt64
    private var hours: UInt64
    private var days: UInt64
    private var months: UInt64
    private var weekdays: UInt64
    private var eitherDay: Bool

    /// Nil when `text` is no schedule, or one that never comes, such as 30 February.
    package init?(_ text: String) {
        let fields = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard fields.count == 5,
            let minutes = Self.bits(fields[0], 0...59), let hours = Self.bits(fields[1], 0...23),
            let days = Self.bits(fields[2], 1...31),
            let months = Self.bits(
                fields[3], 1...12,
                names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], firstName: 1),
            let weekdays = Self.bits(fields[4], 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"], firstName: 0)
        else { return nil }
        self.text = fields.joined(separator: " ")
        self.minutes = minutes
        self.hours = hours
        self.days = days
        self.months = months
        // 7 is Sunday too.
        self.weekdays = (weekdays | (weekdays >> 7 & 1)) & 0x7F
        eitherDay = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
        guard next(after: 0, in: .gmt) != nil else { return nil }
    }

    /// The first moment after `time` at which clocks in `zone` show a minute of the schedule. A minute that the zone leaves out comes when it goes
    /// on; one that it has twice comes once.
    package func next(after time: Seconds, in zone: TimeZone) -> Seconds? {
        var civil = CivilTime(time, in: zone)
        // Near a change of the clocks some hours back: they may show again what is over, or have left out what is due.
        let around = [-4.0, 1].map { zone.secondsFromGMT(for: Date(timeIntervalSince1970: time + $0 * 3600)) }
        if around[0] != around[1] {
            let minute = civil.minute - 180
            civil = minute >= 0 ? CivilTime(day: civil.day, minute: minute) : CivilTime(day: civil.day - 1, minute: minute + 1440)
        }
        let last = civil.day + 366 * 9
        while civil.day < last {
            guard matches(day: civil.day) else {
                civil = CivilTime(day: civil.day + 1, minute: 0)
                continue
            }
            guard let minute = nextMinute(from: civil.minute) else {
                civil = CivilTime(day: civil.day + 1, minute: 0)
                continue
            }
            civil.minute = minute
            let moment = civil.moment(in: zone)
            if moment > time { return moment }
            civil = minute < 1439 ? CivilTime(day: civil.day, minute: minute + 1) : CivilTime(day: civil.day + 1, minute: 0)
        }
        return nil
    }

    private func matches(day: Int) -> Bool {
        let date = CivilTime.date(of: day)
        guard months >> UInt64(date.month) & 1 == 1 else { return false }
        let byDate = days >> UInt64(date.day) & 1 == 1
        let byWeekday = weekdays >> UInt64(date.weekday) & 1 == 1
        return eitherDay ? byDate || byWeekday : byDate && byWeekday
    }

    private func nextMinute(from minute: Int) -> Int? {
        var minute = minute
        while minute < 1440 {
            guard hours >> UInt64(minute / 60) & 1 == 1 else {
                minute = (minute / 60 + 1) * 60
                continue
            }
            if minutes >> UInt64(minute % 60) & 1 == 1 { return minute }
            minute += 1
        }
        return nil
    }

    private static func bits(_ field: String, _ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0) -> UInt64? {
        func number(_ text: Substring) -> Int? {
            if let index = names.firstIndex(of: text.lowercased()) { return index + firstName }
            guard let number = Int(text), text.allSatisfy(\.isNumber), range.contains(number) else { return nil }
            return number
        }
        var bits: UInt64 = 0
        for part in field.split(separator: ",", omittingEmptySubsequences: false) {
            let steps = part.split(separator: "/", omittingEmptySubsequences: false)
            guard let first = steps.first, steps.count <= 2 else { return nil }
            var step = 1
            if steps.count == 2 {
                guard let given = Int(steps[1]), given > 0, given <= 60 else { return nil }
                step = given
            }
            var span = range
            if first != "*" {
                let ends = first.split(separator: "-", omittingEmptySubsequences: false)
                guard let low = ends.first.flatMap(number), ends.count <= 2 else { return nil }
                var high = steps.count == 2 ? range.upperBound : low
                if ends.count == 2 {
                    guard let given = number(ends[1]) else { return nil }
                    high = given
                }
                guard low <= high else { return nil }
                span = low...high
            }
            for value in stride(from: span.lowerBound, through: span.upperBound, by: step) { bits |= 1 << UInt64(value) }
        }
        return bits
    }
}
