package import Streams

/// An envelope shared by the log and all groups that have it in hand.
package final class StoredEnvelope: Sendable {
    package let envelope: Envelope
    package init(_ envelope: Envelope) { self.envelope = envelope }
}

/// One event of a log.
struct LogEntry: Sendable {
    /// Nil when it is only on disk.
    var stored: StoredEnvelope?
    /// Events of one lane keep their order; 0: of none.
    var lane: UInt64
    /// Bytes of all events of the log before this one.
    var start: Int
    var size: Int
    /// When the broker took it, milliseconds since 1970; never less than that of the event before.
    var time: Int64
}

/// The events of one destination, in the order in which they were taken; positions count from 1 and are never used twice.
struct EventLog: Sendable {
    private var entries: [LogEntry] = []
    private var head = 0  // entries before it are dropped; the array is moved only when half of it is
    /// The position of the first event that is still here.
    private(set) var first: UInt64
    private(set) var totalBytes = 0
    /// Envelopes in memory are those from here on; what is before is only on disk.
    private var firstInMemory: UInt64
    private var bytesInMemory = 0

    /// `first` is the position of the first event to come.
    init(first: UInt64 = 1) {
        self.first = first
        firstInMemory = first
    }

    var count: Int { entries.count - head }
    /// The position of the next event to come.
    var next: UInt64 { first + UInt64(count) }
    /// Bytes of the events that are here.
    var bytes: Int { totalBytes - (count > 0 ? entries[head].start : totalBytes) }

    /// The entry at a position between `first` and `next`.
    subscript(position: UInt64) -> LogEntry {
        get { entries[head + Int(position - first)] }
        set { entries[head + Int(position - first)] = newValue }
    }

    /// Bytes of the events from this position on.
    func bytes(from position: UInt64) -> Int { position >= next ? 0 : totalBytes - self[max(position, first)].start }

    mutating func append(_ stored: StoredEnvelope?, lane: UInt64, size: Int, time: Int64) {
        let time = count > 0 ? max(time, entries[entries.count - 1].time) : time
        entries.append(LogEntry(stored: stored, lane: lane, start: totalBytes, size: size, time: time))
        totalBytes += size
        if stored == nil { firstInMemory = next } else { bytesInMemory += size }
    }

    /// Keeps no more than `limit` bytes of envelopes in memory: for a log that is on disk too.
    mutating func forget(over limit: Int) {
        firstInMemory = max(firstInMemory, first)
        while bytesInMemory > limit, firstInMemory < next {
            let index = head + Int(firstInMemory - first)
            entries[index].stored = nil
            bytesInMemory -= entries[index].size
            firstInMemory += 1
        }
    }

    /// Drops the oldest events that are before `needed` until no more than `events` and `bytes` are left. Returns whether any was dropped.
    mutating func trim(events: Int, bytes limit: Int, needed: UInt64) -> Bool {
        var dropped = false
        while count > 0, first < needed, count > events || bytes > limit {
            if entries[head].stored != nil { bytesInMemory -= entries[head].size }
            entries[head].stored = nil
            head += 1
            first += 1
            dropped = true
        }
        if head > 64, head * 2 > entries.count {
            entries.removeFirst(head)
            head = 0
        }
        return dropped
    }

    /// The position of the first event taken at this time or later.
    func position(from time: Int64) -> UInt64 {
        var low = first
        var high = next
        while low < high {
            let middle = low + (high - low) / 2
            if self[middle].time < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
