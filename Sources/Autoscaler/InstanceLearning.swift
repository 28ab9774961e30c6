/// What one busy instance does a second: believed at first, then learned from times in which all were certainly busy.
struct ServiceRate: Sendable, Hashable, Codable {
    /// How far the belief may be wrong; beyond it somebody is stuck, or the reading is.
    private static let range = 5.0
    private static let weight = 0.2

    private let belief: Double
    private var mean: Double?
    private var samples = 0
    private var seen: Seen?

    private struct Seen: Sendable, Hashable, Codable {
        var instant: Seconds
        var backlog: Double
        var acknowledged: Double
        var ready: Int
    }

    init(belief: Double) { self.belief = belief }

    /// 0: only believed; towards 1 the more has been seen.
    var confidence: Double { Double(samples) / Double(samples + 4) }

    var value: Double {
        guard let mean else { return belief }
        return belief + confidence * (mean - belief)
    }

    /// Learns from the time since the last reading, if all instances had work throughout it.
    mutating func observe(_ reading: QueueReading, ready: Int, clock: Seconds) {
        guard let backlog = reading.backlog.value, let acknowledged = reading.acknowledged.value else {
            seen = nil
            return
        }
        let now = Seen(
            instant: clock - max(reading.backlog.age, reading.acknowledged.age), backlog: backlog, acknowledged: acknowledged, ready: ready)
        guard let before = seen else {
            seen = now
            return
        }
        let interval = now.instant - before.instant
        guard interval > 1e-6 else { return }
        seen = now
        let done = ArrivalEstimate.counted(before.acknowledged, acknowledged)
        // More was there at the start than all of them have done since: none can have been without work.
        guard ready > 0, before.ready == ready, before.backlog - done >= Double(ready) else { return }
        let sample = min(max(done / (Double(ready) * interval), belief / Self.range), belief * Self.range)
        mean = mean.map { $0 + Self.weight * (sample - $0) } ?? sample
        samples = min(samples + 1, 1000)
    }
}

/// From the order of an instance to ready: believed at first, then the 90th percentile of those seen.
struct StartTime: Sendable, Hashable, Codable {
    private static let kept = 20
    private let belief: Seconds
    private var samples: [Seconds] = []

    init(belief: Seconds) { self.belief = belief }

    var confidence: Double { Double(samples.count) / Double(samples.count + 4) }

    var value: Seconds {
        guard !samples.isEmpty else { return belief }
        let sorted = samples.sorted()
        let high = sorted[min(sorted.count - 1, sorted.count * 9 / 10)]
        return belief + confidence * (high - belief)
    }

    mutating func observe(_ sample: Seconds) {
        samples.append(sample)
        if samples.count > Self.kept { samples.removeFirst() }
    }
}

/// The instances that are starting, and since when.
struct OrderBook: Sendable, Hashable, Codable {
    private struct Order: Sendable, Hashable, Codable {
        var clock: Seconds
        var count: Int
    }
    /// Oldest first.
    private var orders: [Order] = []

    private var count: Int { orders.reduce(0) { $0 + $1.count } }

    mutating func order(_ count: Int, at clock: Seconds) {
        if count > 0 { orders.append(Order(clock: clock, count: count)) }
    }

    /// Those that start go first, the latest of them before the others.
    mutating func cancel(_ number: Int) {
        var left = number
        while left > 0, let last = orders.last {
            if last.count > left {
                orders[orders.count - 1].count -= left
                return
            }
            left -= last.count
            orders.removeLast()
        }
    }

    /// Takes over how many are still starting; returns for how long each order that ended since was on its way.
    mutating func observe(starting: Int, at clock: Seconds) -> [Seconds] {
        var ended: [Seconds] = []
        var surplus = count - starting
        while surplus > 0, let first = orders.first {
            ended.append(clock - first.clock)
            let part = min(surplus, first.count)
            surplus -= part
            if part == first.count { orders.removeFirst() } else { orders[0].count -= part }
        }
        // Somebody else ordered, or one that was ready starts again.
        if surplus < 0 { order(-surplus, at: clock) }
        return ended
    }

    /// When the instances will be ready, and how many. One that is late is expected to take as long again as it is late.
    func arrivals(start: Seconds, poll: Seconds, at clock: Seconds) -> [(after: Seconds, count: Int)] {
        orders.map { order in
            let left = start - (clock - order.clock)
            return (left >= 0 ? left : poll - left, order.count)
        }
    }
}
