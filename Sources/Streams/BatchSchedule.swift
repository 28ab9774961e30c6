/// Which of the events at hand may be handled together next: in the order in which they came, without those whose key another batch has in
/// hand. A value without tasks.
struct BatchSchedule<Item> {
    private var waiting: [(key: String?, item: Item)] = []
    private var busy: Set<String> = []
    private var running = 0

    /// Those that wait and those that run.
    var count: Int { waiting.count + running }

    mutating func add(_ item: Item, key: String?) { waiting.append((key, item)) }

    /// Whether that many events may be handled now.
    func hasFree(_ count: Int) -> Bool {
        guard waiting.count >= count, !busy.isEmpty else { return waiting.count >= count }
        var left = count
        for (key, _) in waiting where key.map({ !busy.contains($0) }) ?? true {
            left -= 1
            if left <= 0 { return true }
        }
        return left <= 0
    }

    /// Takes at most `size` events out; their keys are in hand until `finish`.
    mutating func take(_ size: Int) -> [Item] {
        var batch: [Item] = []
        var keys: Set<String> = []
        var left: [(key: String?, item: Item)] = []
        for (key, item) in waiting {
            if batch.count < size, key.map({ !busy.contains($0) }) ?? true {
                batch.append(item)
                if let key { keys.insert(key) }
            } else {
                left.append((key, item))
            }
        }
        waiting = left
        busy.formUnion(keys)
        running += batch.count
        return batch
    }

    /// A batch that was taken is done; `keys` are those of all its events.
    mutating func finish(_ keys: [String?]) {
        running -= keys.count
        for case let key? in keys { busy.remove(key) }
    }

    /// Takes out all that has not been taken.
    mutating func removeWaiting() -> [Item] {
        defer { waiting = [] }
        return waiting.map(\.item)
    }
}
