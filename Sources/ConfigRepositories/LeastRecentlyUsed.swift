/// A bounded cache: what was not asked for longest leaves first. A value; its owner puts it behind a lock.
package struct LeastRecentlyUsed<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var key: Key
        var value: Value
        var cost: Int
        var newer: Int
        var older: Int
    }
    /// Entries in slots that are linked by their index, so that a look-up moves two numbers instead of an array.
    private var slots: [Entry?] = []
    private var free: [Int] = []
    private var index: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1
    /// The sum of the costs of what is kept.
    package private(set) var cost = 0
    /// What `cost` never exceeds.
    package let limit: Int

    /// `limit` is in the unit of the costs that `insert` is given.
    package init(limit: Int) { self.limit = limit }

    package var count: Int { index.count }

    /// All that is kept, newest first.
    package var entries: [(key: Key, value: Value)] {
        var result: [(key: Key, value: Value)] = []
        var at = newest
        while at >= 0, let entry = slots[at] {
            result.append((entry.key, entry.value))
            at = entry.older
        }
        return result
    }

    /// Keys, newest first.
    package var keys: [Key] { entries.map(\.key) }
    /// Values, newest first.
    package var values: [Value] { entries.map(\.value) }

    /// The value of a key, which becomes the newest.
    package mutating func value(for key: Key) -> Value? {
        guard let at = index[key], let entry = slots[at] else { return nil }
        if at != newest {
            unlink(at)
            link(at)
        }
        return entry.value
    }

    /// Keeps a value, unless it alone costs more than the limit; removes the oldest until all fit.
    package mutating func insert(_ value: Value, for key: Key, cost: Int = 1) {
        remove(key)
        guard cost <= limit else { return }
        let entry = Entry(key: key, value: value, cost: cost, newer: -1, older: -1)
        let at: Int
        if let slot = free.popLast() {
            at = slot
            slots[at] = entry
        } else {
            at = slots.count
            slots.append(entry)
        }
        index[key] = at
        self.cost += cost
        link(at)
        while self.cost > limit, oldest >= 0, let last = slots[oldest] { remove(last.key) }
    }

    package mutating func remove(_ key: Key) {
        guard let at = index.removeValue(forKey: key) else { return }
        cost -= slots[at]?.cost ?? 0
        unlink(at)
        slots[at] = nil
        free.append(at)
    }

    package mutating func removeAll() { self = LeastRecentlyUsed(limit: limit) }

    private mutating func link(_ at: Int) {
        slots[at]?.older = newest
        slots[at]?.newer = -1
        if newest >= 0 { slots[newest]?.newer = at }
        newest = at
        if oldest < 0 { oldest = at }
    }

    private mutating func unlink(_ at: Int) {
        guard let entry = slots[at] else { return }
        if entry.newer >= 0 { slots[entry.newer]?.older = entry.older } else { newest = entry.older }
        if entry.older >= 0 { slots[entry.older]?.newer = entry.newer } else { oldest = entry.newer }
    }
}
