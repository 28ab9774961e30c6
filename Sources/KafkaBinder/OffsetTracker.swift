import Streams

/// What a member of a group has of one partition: which offsets are done, which are in hand and how often they were handed out.
///
/// Kafka keeps one number for a group and partition, the offset below which all is done. This value finds that number, and writes the rest into
/// the text that Kafka keeps beside it (`OffsetNotes`): whoever gets the partition next knows what is done above it, how many attempts the
/// others have had and when their retry is due.
package struct OffsetTracker: Sendable {
    private struct Entry: Sendable {
        let offset: Int64
        /// How many times it was handed out.
        var seen: Int
        /// When its retry is due, milliseconds since 1970; 0: now.
        var due: Int64 = 0
        var isOut = false
        var isDone = false
    }
    private var entries = FIFO<Entry>()
    private var notes: OffsetNotes
    /// The offset behind the last one that came; nil before the first of a partition whose start is not known as a number.
    private var next: Int64?

    /// `start` is where reading begins; nil where only the broker knows it.
    package init(start: Int64?, notes: OffsetNotes = OffsetNotes()) {
        next = start
        self.notes = notes
    }

    package enum Arrival: Sendable, Hashable {
        case deliver
        /// Its retry is due then, milliseconds since 1970.
        case hold(until: Int64)
        /// It was done before.
        case skip
    }

    /// Whether an offset lies before one that came already: the partition was emptied and begins anew.
    package func isBehind(_ offset: Int64) -> Bool { next.map { offset < $0 } ?? false }

    /// A record came. Offsets rise; those that are left out are not there (compacted, or marks of a transaction).
    package mutating func arrived(_ offset: Int64, now: Int64) -> Arrival {
        if isBehind(offset) { return .skip }
        next = offset + 1
        switch notes.state(of: offset) {
        case .done:
            if !entries.isEmpty { entries.append(Entry(offset: offset, seen: 1, isDone: true)) }
            return .skip
        case .open(let seen, let due):
            entries.append(Entry(offset: offset, seen: seen, due: due))
            return due > now ? .hold(until: due) : .deliver
        case nil:
            entries.append(Entry(offset: offset, seen: 0))
            return .deliver
        }
    }

    /// The record is handed out; returns the attempt's number, from 1. Nil when it was done.
    package mutating func handOut(_ offset: Int64) -> Int? {
        change(offset) { entry in
            entry.seen += 1
            entry.isOut = true
            return entry.seen
        }
    }

    /// False when it is not in hand.
    package mutating func done(_ offset: Int64) -> Bool {
        let wasOut = change(offset) { entry in
            entry.isDone = entry.isOut
            return entry.isOut
        }
        guard wasOut == true else { return false }
        while let first = entries.first, first.isDone { _ = entries.popFirst() }
        return true
    }

    /// The record comes again at this time; `counting` false: nobody has seen it. False when it is not in hand.
    package mutating func retry(_ offset: Int64, due: Int64, counting: Bool = true) -> Bool {
        change(offset) { entry in
            guard entry.isOut else { return false }
            entry.isOut = false
            entry.due = due
            if !counting { entry.seen = max(0, entry.seen - 1) }
            return true
        } ?? false
    }

    /// The offset below which all is done; nil where nothing is known yet.
    package var committable: Int64? { entries.first?.offset ?? next }

    /// How far reading has come beyond what can be committed.
    package var span: Int64 { (next ?? 0) - (committable ?? 0) }

    /// What is to be kept beside the committable offset.
    package var committableNotes: OffsetNotes {
        guard let base = committable else { return OffsetNotes() }
        var runs = OffsetNotes(base: base)
        var expected = base
        for index in 0..<entries.count {
            guard let entry = entries[index] else { break }
            if entry.offset > expected { runs.append(.done, count: entry.offset - expected) }
            runs.append(entry.isDone ? .done : .open(seen: entry.seen, due: entry.due), count: 1)
            expected = entry.offset + 1
        }
        // What came with the partition and was not reached yet still holds.
        runs.append(rest: notes, from: expected)
        return runs
    }

    private mutating func change<R>(_ offset: Int64, _ body: (inout Entry) -> R) -> R? {
        guard let first = entries.first, offset >= first.offset else { return nil }
        // Without holes the place is the distance; with holes it is before.
        var low = 0
        var high = Int(min(offset - first.offset, Int64(entries.count - 1)))
        if entries[high]?.offset == offset { low = high }
        while low < high {
            let middle = (low + high) / 2
            if let entry = entries[middle], entry.offset < offset { low = middle + 1 } else { high = middle }
        }
        guard var entry = entries[low], entry.offset == offset, !entry.isDone else { return nil }
        let result = body(&entry)
        entries[low] = entry
        return result
    }
}
