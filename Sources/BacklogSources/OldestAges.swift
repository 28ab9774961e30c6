package import Autoscaler
package import Streams

/// How long the oldest event of a partition has waited, where the broker does not tell: from what was seen of its end.
///
/// The event that the group stands before was there at the first reading whose end lies behind it, so it has waited at least since then: never
/// longer than it has, and shorter by no more than the time between two readings and a part of the age.
package struct OldestAges: Sendable {
    private struct Sight: Sendable {
        var end: Int
        var at: ContinuousClock.Instant
    }

    /// By partition, rising.
    private var sights: [String: [Sight]] = [:]
    /// What has waited for long need not be known to the second: a sight is kept where the last one is this part of all the time behind it. So
    /// there are few, also of a backlog of days.
    private static let part = 32

    package init() {}

    /// The age at `now` of the oldest event of all partitions. Nil where nothing waits.
    package mutating func note(_ progress: [PartitionProgress], at now: ContinuousClock.Instant) -> Seconds? {
        var next: [String: [Sight]] = [:]
        var oldest: ContinuousClock.Instant?
        for one in progress {
            let end = one.committed + one.backlog
            var seen = sights[one.partition] ?? []
            // A partition that was made anew counts from 0 again.
            if let last = seen.last, last.end > end { seen = [] }
            seen.removeAll { $0.end <= one.committed }
            if one.backlog > 0 {
                let isDue = seen.last.map { last in
                    last.end < end && last.at.duration(to: now) * Self.part >= (seen.first ?? last).at.duration(to: now)
                }
                if isDue ?? true { seen.append(Sight(end: end, at: now)) }
            }
            guard let first = seen.first else { continue }
            next[one.partition] = seen
            oldest = min(oldest ?? first.at, first.at)
        }
        sights = next
        return oldest.map { $0.duration(to: now) / .seconds(1) }
    }
}
