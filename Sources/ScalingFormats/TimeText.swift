package import Autoscaler
internal import ConfigModel
package import Foundation

/// Moments as people and programs write them.
package enum TimeText {
    /// RFC 3339, to the millisecond, in UTC: `2026-11-26T08:00:00Z`.
    package static func render(_ time: Seconds) -> String {
        let milliseconds = Int64((min(max(time, 0), Observation.latest) * 1000).rounded())
        let moment = ISOTime(milliseconds: milliseconds)
        let fraction = moment.millisecond == 0 ? "" : "." + ISOTime.padded(moment.millisecond, 3)
        return "\(moment.date)T\(moment.time)\(fraction)Z"
    }

    /// RFC 3339 with its offset; where `zone` is given also without one, as clocks there show it, seconds or not: `2026-11-26T08:00`.
    package static func parse(_ text: String, in zone: TimeZone? = nil) -> Seconds? {
        let text = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= text.count, text[range].allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return Int(String(decoding: text[range], as: UTF8.self))
        }
        func isMark(_ index: Int, _ marks: String) -> Bool { index < text.count && marks.utf8.contains(text[index]) }
        guard let year = number(0..<4), isMark(4, "-"), let month = number(5..<7), isMark(7, "-"), let dayOfMonth = number(8..<10),
            isMark(10, "Tt "), let hour = number(11..<13), hour < 24, isMark(13, ":"), let minute = number(14..<16), minute < 60,
            let day = CivilTime.day(year: year, month: month, day: dayOfMonth)
        else { return nil }
        var index = 16
        var second = 0.0
        if isMark(16, ":") {
            guard let whole = number(17..<19), whole < 60 else { return nil }
            second = Double(whole)
            index = 19
            if isMark(19, ".") {
                let digits = text[20...].prefix { (0x30...0x39).contains($0) }
                guard !digits.isEmpty, digits.count <= 9, let fraction = Double("0." + String(decoding: digits, as: UTF8.self)) else {
                    return nil
                }
                second += (fraction * 1000).rounded() / 1000
                index += 1 + digits.count
            }
        } else if zone == nil {
            return nil
        }
        let civil = CivilTime(day: day, minute: hour * 60 + minute)
        if index == text.count { return zone.map { civil.moment(in: $0) + second } }
        var offset = 0
        if isMark(index, "+-") {
            guard let hours = number(index + 1..<index + 3), hours < 24, isMark(index + 3, ":"),
                let minutes = number(index + 4..<index + 6), minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (text[index] == UInt8(ascii: "-") ? -1 : 1)
            index += 6
        } else if isMark(index, "Zz") {
            index += 1
        }
        guard index == text.count, index > 16 else { return nil }
        return ((civil.seconds - Double(offset) * 60 + second) * 1000).rounded() / 1000
    }
}
