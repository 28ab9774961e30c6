/// The highest count that was asked for within a time: a lower one has to be asked for that long.
struct DemandWindow: Sendable, Hashable, Codable {
    private struct Entry: Sendable, Hashable, Codable {
        var clock: Seconds
        var count: Int
    }
    /// Falling counts: what a later, higher one outlives is not kept.
    private var entries: [Entry] = []

    mutating func ask(_ count: Int, at clock: Seconds, keeping width: Seconds) {
        entries.removeAll { $0.clock < clock - width || $0.count <= count }
        entries.append(Entry(clock: clock, count: count))
    }

    mutating func clear() { entries = [] }

    var maximum: Int { entries.first?.count ?? 0 }
}
