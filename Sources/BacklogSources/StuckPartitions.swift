package import Streams

/// Which partitions do not move: they have a backlog, members of the group live, and the group has stood at the same place for a time. In time, not
/// in readings: a poll that comes early takes no healthy partition for stuck.
package struct StuckPartitions: Sendable {
    private struct Standing: Sendable {
        var committed: Int
        /// Since when it has stood there with something to do and somebody to do it.
        var since: ContinuousClock.Instant
    }

    private let limit: Duration
    private var standing: [String: Standing] = [:]

    package init(limit: Duration = .seconds(300)) { self.limit = limit }

    /// The names of those that are stuck at `now`. `members` nil: nobody knows whether any live, and none is called stuck.
    package mutating func note(_ progress: [PartitionProgress], members: Int?, at now: ContinuousClock.Instant) -> [String] {
        var next: [String: Standing] = [:]
        for one in progress where one.backlog > 0 && members ?? 0 > 0 {
            let before = standing[one.partition]
            next[one.partition] = before?.committed == one.committed ? before : Standing(committed: one.committed, since: now)
        }
        standing = next
        return progress.map(\.partition).filter { name in next[name].map { $0.since.duration(to: now) >= limit } ?? false }
    }
}
