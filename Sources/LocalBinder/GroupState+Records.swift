internal import Streams

extension GroupState {
    // MARK: Dead letters

    mutating func bury(_ record: DeadRecord, at position: UInt64, _ limits: LocalLimits) -> Int {
        var dropped = 0
        while !dead.isEmpty, dead.count >= limits.deadLetters || deadBytes + record.size > limits.deadLetterBytes,
            let oldest = dead.keys.min()
        {
            _ = exhume(oldest)
            dropped += 1
        }
        dead[position] = record
        deadBytes += record.size
        touch(position)
        return dropped
    }

    mutating func exhume(_ position: UInt64) -> DeadRecord? {
        guard let record = dead.removeValue(forKey: position) else { return nil }
        deadBytes -= record.size
        touch(position)
        return record
    }

    mutating func drop(_ positions: [UInt64]?) -> Int { (positions ?? Array(dead.keys)).count { exhume($0) != nil } }

    mutating func replay(_ positions: [UInt64]?, log: EventLog, now: Int64, _ out: inout [HandOut]) -> Int {
        var count = 0
        for position in (positions ?? Array(dead.keys)).sorted() {
            guard let record = exhume(position) else { continue }
            outstanding[position] = Outstanding(
                stored: record.stored, lane: record.lane, size: record.size, time: now, attempt: 0, place: .ready)
            outstandingBytes += record.size
            makeReady(position)
            count += 1
        }
        pump(log, &out)
        return count
    }

    // MARK: Looking

    func backlog(_ log: EventLog, now: Int64) -> Backlog {
        var oldest = outstanding.values.lazy.map(\.time).min()
        if cursor < log.next { oldest = min(oldest ?? .max, log[max(cursor, log.first)].time) }
        return Backlog(
            ready: Int(log.next - max(cursor, log.first)) + outstanding.count - inHandCount - delayedCount, inHand: inHandCount,
            delayed: delayedCount, dead: dead.count, members: members.count,
            oldestAge: oldest.map { .milliseconds(max(0, now - $0)) }, published: Int(log.next - 1), acknowledged: doneCount)
    }

    /// Events that are not done, without looking at each.
    func pendingEvents(_ log: EventLog) -> Int { Int(log.next - min(log.next, max(cursor, log.first))) + outstanding.count }
    func pendingBytes(_ log: EventLog) -> Int { log.bytes(from: cursor) + outstandingBytes }

    // MARK: Durable state

    /// Takes what has changed since the last call, and takes it for recorded.
    mutating func takeChanges() -> [(position: UInt64, change: Change)] {
        var changes: [(position: UInt64, change: Change)] = []
        for position in changed {
            if let one = outstanding[position] {
                let due: Int64? = if case .delayed(let until) = one.place { until } else { nil }
                changes.append((position, .outstanding(attempt: one.attempt, due: due)))
                recorded.insert(position)
            } else if let record = dead[position] {
                changes.append((position, .dead(record)))
                recorded.insert(position)
            } else if recorded.remove(position) != nil {
                changes.append((position, .gone))
            }
        }
        changed = []
        isDirty = false
        return changes
    }

    /// Marks changes again after a commit that failed.
    mutating func putBack(_ positions: some Sequence<UInt64>) {
        for position in positions {
            changed.insert(position)
            recorded.insert(position)
        }
        isDirty = true
    }

    /// Takes over what a file held: `due` is nil for what was ready or in hand.
    mutating func restore(_ entry: LogEntry, at position: UInt64, attempt: Int, due: Int64?) {
        outstanding[position] = Outstanding(
            stored: entry.stored, lane: entry.lane, size: entry.size, time: entry.time, attempt: attempt, place: .ready)
        outstandingBytes += entry.size
        if let due {
            outstanding[position]?.place = .delayed(until: due)
            delayedCount += 1
            delayed.push(Due(at: due, position: position))
        } else {
            makeReady(position)
        }
        recorded.insert(position)
    }

    mutating func restore(_ record: DeadRecord, at position: UInt64) {
        dead[position] = record
        deadBytes += record.size
        recorded.insert(position)
    }

    /// Everything restored so far is what the file holds.
    mutating func restored() {
        changed = []
        isDirty = false
    }
}
