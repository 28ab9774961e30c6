package import Foundation

/// A time in which there are at least, or at most, so many instances.
///
/// Clocks that leave out an hour in spring: what would begin or end in it does so when they go on. Clocks that show an hour twice in autumn: the
/// first counts.
package struct WindowCondition: Sendable, Hashable, Codable {
    package enum Times: Sendable, Hashable, Codable {
        /// From each moment of the schedule on, for so long.
        case cron(CronSchedule, length: Seconds)
        /// Each day from one minute of the day to another; over midnight when the end is not behind the start.
        case daily(start: Int, end: Int)
        /// Once.
        case once(start: Seconds, end: Seconds)
    }
    package var times: Times
    package var zone: TimeZone
    package var floor: Int?
    package var ceiling: Int?

    package init(times: Times, zone: TimeZone, floor: Int? = nil, ceiling: Int? = nil) {
        self.times = times
        self.zone = zone
        self.floor = floor
        self.ceiling = ceiling
    }

    /// `lead`: the floor is asked for so long before the start, so that instances are ready at it. A ceiling begins with the window.
    func outcome(at time: Seconds, lead: Seconds) -> ConditionOutcome {
        let early = period(at: time, lead: lead)
        guard let early else {
            return ConditionOutcome(kind: "window", reason: "outside the window \(name)")
        }
        let begun = early.start <= time
        let reason =
            begun ? "the window \(name) is open" : "the window \(name) opens in \(Phrase.duration(early.start - time))"
        return ConditionOutcome(
            kind: "window", floor: floor, ceiling: begun ? ceiling : nil, reason: reason, expires: begun ? early.end : early.start)
    }

    /// The period that has begun, or begins within `lead`, and has not ended.
    private func period(at time: Seconds, lead: Seconds) -> (start: Seconds, end: Seconds)? {
        switch times {
        case .once(let start, let end):
            return start - lead <= time && time < end ? (start, end) : nil
        case .cron(let schedule, let length):
            // The first start that has not yet ended: an earlier one is over, and a later one is not wanted before it.
            guard let start = schedule.next(after: time - length, in: zone), start - lead <= time else { return nil }
            return (start, start + length)
        case .daily(let start, let end):
            let today = CivilTime(time, in: zone).day
            for day in today - 1...today + 1 {
                let begins = CivilTime(day: day, minute: start).moment(in: zone)
                let ends = CivilTime(day: end > start ? day : day + 1, minute: end).moment(in: zone)
                if begins - lead <= time, time < ends { return (begins, ends) }
            }
            return nil
        }
    }

    private var name: String {
        func clock(_ minute: Int) -> String {
            "\(minute / 600)\(minute / 60 % 10):\(minute % 60 / 10)\(minute % 10)"
        }
        switch times {
        case .cron(let schedule, let length): return "`\(schedule.text)` for \(Phrase.duration(length)) in \(zone.identifier)"
        case .daily(let start, let end): return "\(clock(start)) to \(clock(end)) in \(zone.identifier)"
        case .once(let start, let end): return "of \(Phrase.duration(end - start))"
        }
    }
}
