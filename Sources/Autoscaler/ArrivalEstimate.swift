internal import Glibc

/// How many messages a second come, from the readings of one queue.
struct ArrivalEstimate: Sendable, Hashable, Codable {
    /// Rises are believed soon, falls later: too few instances cost the promise, too many a little time.
    private static let riseTime: Seconds = 10
    private static let fallTime: Seconds = 40

    private struct Seen: Sendable, Hashable, Codable {
        /// The clock at which the numbers were true.
        var instant: Seconds
        var backlog: Double
        var published: Double?
        var acknowledged: Double?
    }
    private var seen: Seen?
    /// Whether the source counts what comes: then a reading without that number is a failure.
    private var counts = false
    /// Messages a second; nil before two readings.
    private(set) var rate: Double?
    /// The last interval alone.
    private(set) var latest: Double?

    /// Takes a reading; false when it does not tell enough.
    ///
    /// `capacity`: what the instances can have done a second, used only where the source counts neither what comes nor what is done.
    mutating func observe(_ reading: QueueReading, clock: Seconds, capacity: Double) -> Bool {
        guard let backlog = reading.backlog.value else { return false }
        counts = counts || reading.published.value != nil
        guard reading.published.value != nil || !counts else { return false }
        let now = Seen(
            instant: clock - max(reading.backlog.age, reading.published.age), backlog: backlog, published: reading.published.value,
            acknowledged: reading.acknowledged.value)
        guard let before = seen else {
            seen = now
            return false
        }
        let interval = now.instant - before.instant
        // The same numbers once more tell nothing of the time since.
        guard interval > 1e-6 else { return rate != nil }
        seen = now
        let sample = max(0, Self.arrived(from: before, to: now, interval: interval, capacity: capacity)) / interval
        latest = sample
        guard let old = rate else {
            rate = sample
            return true
        }
        let weight = 1 - exp(-interval / (sample > old ? Self.riseTime : Self.fallTime))
        let new = old + weight * (sample - old)
        // What falls for ever reaches nothing: less than one message in an hour is none.
        rate = sample == 0 && new < 1.0 / 3600 ? 0 : new
        return true
    }

    private static func arrived(from before: Seen, to now: Seen, interval: Seconds, capacity: Double) -> Double {
        if let new = now.published, let old = before.published { return Self.counted(old, new) }
        if let new = now.acknowledged, let old = before.acknowledged { return now.backlog - before.backlog + Self.counted(old, new) }
        // Nobody counts: what is missing from the backlog was done by those who were busy.
        return now.backlog - before.backlog + min(before.backlog, capacity * interval)
    }

    /// A counter that is lower than before began again at 0.
    static func counted(_ old: Double, _ new: Double) -> Double { new >= old ? new - old : new }
}
