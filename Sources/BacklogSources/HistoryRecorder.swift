package import Autoscaler
internal import ScalingFormats

/// Makes a recording of what a source tells, line by line, in the form that `HistoryReader` reads: `published` counts from 0 at the first line that
/// has a number, also where the source has begun to count anew; what it did not tell is an empty field.
package struct HistoryRecorder: Sendable {
    package static let header = "time,published,backlog,acknowledged,oldest,members\n"

    private var lastTime: Seconds?
    private var lastCount: Double?
    private var total = 0.0

    package init() {}

    /// The next line with its end. Nil for a time that is not behind that of the line before, as after a step of the clock: a recording rises.
    package mutating func line(of report: QueueReport, at time: Seconds) -> String? {
        let time = (time * 1000).rounded() / 1000
        guard time.isFinite, time >= 0, time <= Observation.latest, time > lastTime ?? -1 else { return nil }
        lastTime = time
        let reading = report.reading
        var fields = [TimeText.render(time)]
        fields.append(published(reading.published.value).map(Self.text) ?? "")
        fields += [reading.backlog, reading.acknowledged, reading.oldest].map { $0.value.map(Self.text) ?? "" }
        fields.append(report.members.map(String.init) ?? "")
        return fields.joined(separator: ",") + "\n"
    }

    /// Nil where it is unknown; what came meanwhile is in the next number.
    private mutating func published(_ count: Double?) -> Double? {
        guard let count else { return nil }
        defer { lastCount = count }
        guard let before = lastCount else { return 0 }
        total += count >= before ? count - before : count
        // Some sources count in fractions; messages are whole.
        return total.rounded(.down)
    }

    private static func text(_ number: Double) -> String {
        number.rounded() == number && number < 1e15 ? String(Int(number)) : "\(number)"
    }
}
