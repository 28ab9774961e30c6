/// How many instances keep the promise of a queue: arrivals fed forward, and what waits beyond them drained, seen through the dead time.
///
/// An instance that is ordered now helps only after the dead time. What waits then is what waits now, and what comes until then, less what the
/// instances in being and on their way do until then. The instances asked for serve what comes with a reserve, and drain that rest in the time
/// that the promise leaves.
struct QueueLaw: Sendable {
    /// The share of its time that an instance is planned to be busy: the rest is for what varies.
    static let utilisation = 0.85

    var backlog: Double
    /// A second.
    var arrivals: Double
    /// What one instance does a second.
    var rate: Double
    var start: Seconds
    var poll: Seconds
    /// What the promise allows.
    var limit: Seconds
    var ready: Int
    /// When those on their way will be ready.
    var starting: [(after: Seconds, count: Int)]

    var deadTime: Seconds { start + poll }

    /// Those in being and on their way.
    var fleet: Int { starting.reduce(ready) { $0 + $1.count } }

    /// What the first `count` of those in being and on their way can do within the dead time. Those that start last go first.
    func served(by count: Int) -> Double {
        var left = max(0, count - ready)
        var time = Double(min(count, ready)) * deadTime
        for one in starting {
            let part = min(left, one.count)
            time += Double(part) * max(0, deadTime - one.after)
            left -= part
        }
        return time * rate
    }

    /// What is on its way at any time, without anything being late.
    var inTransit: Double { arrivals * poll / 2 }

    /// What will wait after the dead time and has to be drained.
    func excess(with count: Int) -> Double {
        max(0, max(0, backlog + arrivals * deadTime - served(by: count)) - inTransit)
    }

    var excess: Double { excess(with: fleet) }

    /// The time in which the rest is drained: what the promise leaves after the dead time, but never less than the law can see and correct.
    var drainTime: Seconds { max(limit - deadTime, 2 * poll) }

    /// Whether a burst can be answered in time at all.
    var isFeasible: Bool { limit >= deadTime }

    /// Instances, with fractions, after a dead time in which `count` of those in being and on their way are kept.
    func need(with count: Int) -> Double { arrivals / (Self.utilisation * rate) + excess(with: count) / (rate * drainTime) }

    var need: Double { need(with: fleet) }

    /// Whole instances: as many more as are needed, or the fewest of those there that are enough although the others do no more.
    var instances: Int {
        var high = fleet
        var low = Self.whole(need)
        guard low < high else { return low }
        while low < high {
            let middle = (low + high) / 2
            if Self.whole(need(with: middle)) <= middle { high = middle } else { low = middle + 1 }
        }
        return high
    }

    /// What rounding adds to a whole number does not count.
    static func whole(_ need: Double) -> Int {
        guard need.isFinite, need < 1e9 else { return 1_000_000_000 }
        return max(0, Int((need - 1e-9).rounded(.up)))
    }

    /// The backlog above which more than `count` are needed, with the same arrivals.
    func backlogAbove(_ count: Int) -> Double {
        let spare = Double(count) - arrivals / (Self.utilisation * rate)
        return max(0, spare * rate * drainTime + inTransit - arrivals * deadTime + served(by: count))
    }

    /// The arrivals a second above which more than `count` are needed, with the same backlog.
    func arrivalsAbove(_ count: Int) -> Double {
        let withoutExcess = Double(count) * Self.utilisation * rate
        var law = self
        law.arrivals = withoutExcess
        guard law.excess(with: count) > 0 else { return withoutExcess }
        let slope = drainTime / Self.utilisation + deadTime - poll / 2
        return max(0, (Double(count) * rate * drainTime - backlog + served(by: count)) / slope)
    }

    /// The least count at which no instance has more of the partitions than is good for it: counts in between buy nothing.
    static func quantised(_ count: Int, partitions: Int) -> Int {
        guard partitions > 0, count > 0 else { return count }
        guard count < partitions else { return partitions }
        let each = partitions / count
        return (partitions + each - 1) / each
    }
}
