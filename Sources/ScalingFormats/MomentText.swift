package import Autoscaler
package import Foundation
internal import Options

/// Moments as operators give them: RFC 3339, a time of day, or a duration from now.
package enum MomentText {
    package enum Direction: Sendable {
        /// A time of day is the next one, a duration goes forward.
        case future
        /// A time of day is the last one, a duration goes back.
        case past
    }

    package static let forms = "a time such as 2026-11-27T18:00:00Z, 18:00, or a duration from now such as 2h"

    /// Nil for what is none of the three, and for what lies on the other side of `now`.
    package static func parse(_ text: String, now: Seconds, _ direction: Direction, in zone: TimeZone = .current) -> Seconds? {
        let moment: Seconds
        if let date = TimeText.parse(text, in: zone) {
            moment = date
        } else if let minute = minute(text) {
            let today = Int(((now + Double(zone.secondsFromGMT(for: Date(timeIntervalSince1970: now)))) / 86400).rounded(.down))
            let around = (today - 1...today + 1).map { CivilTime(day: $0, minute: minute).moment(in: zone) }
            guard let found = direction == .future ? around.first(where: { $0 > now }) : around.last(where: { $0 <= now }) else {
                return nil
            }
            moment = found
        } else if let duration = DurationText.parse(text.hasPrefix("-") && direction == .past ? String(text.dropFirst()) : text) {
            let seconds = duration / .seconds(1)
            moment = direction == .future ? now + seconds : now - seconds
        } else {
            return nil
        }
        guard moment >= 0, moment <= Observation.latest, direction == .past || moment > now else { return nil }
        return moment
    }

    /// `18:00` as minutes of the day.
    private static func minute(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...2).contains(parts[0].count), parts[1].count == 2, let hour = Int(parts[0]), let minute = Int(parts[1]),
            (0..<24).contains(hour), (0..<60).contains(minute)
        else { return nil }
        return hour * 60 + minute
    }
}
