package import Streams

/// The embedded broker as a value: destinations with their logs and groups. Commands come in, hand-outs go out; no I/O, clock or continuation.
///
/// Policies: what a group has not done is never dropped (a publish that would exceed the group's bound is refused instead); history for
/// broadcast and replay is trimmed, oldest first; names and dead letters are bounded.
package struct LocalBroker: Sendable {
    struct DestinationState: Sendable {
        let name: String
        var log = EventLog()
        /// Groups and broadcast subscriptions; nil where one has ended.
        var groups: [GroupState?] = []
        var namedGroups: [String: Int] = [:]
        var free: [Int] = []
        /// The first position of the log as the file knows it.
        var trimmed: UInt64 = 1
    }

    /// Where a member is: indices instead of names, so that the way of an event looks up no text.
    package struct Seat: Sendable, Hashable {
        let destination: Int
        let group: Int
        package let member: UInt64
    }

    let limits: LocalLimits
    /// Sets the positions of this log apart from those of another that had the same name.
    var epoch: String
    private(set) var destinations: [DestinationState] = []
    private var indices: [String: Int] = [:]
    private var groupCount = 0
    private var lastMember: UInt64 = 0
    let durable: Bool

    package init(limits: LocalLimits, epoch: String, durable: Bool) {
        self.limits = limits
        self.epoch = epoch
        self.durable = durable
    }

    // MARK: Names

    func index(of destination: Destination) -> Int? { indices[destination.name] }

    package mutating func index(creating name: String) throws(BinderError) -> Int {
        if let index = indices[name] { return index }
        guard destinations.count < limits.names else {
            throw BinderError(
                .blocked, "destination \(name) would be one more than the \(limits.names) that the embedded broker holds; raise the limit")
        }
        destinations.append(DestinationState(name: name))
        indices[name] = destinations.count - 1
        return destinations.count - 1
    }

    func index(of group: ConsumerGroup, in destination: Destination) -> (destination: Int, group: Int)? {
        guard let index = indices[destination.name], let group = destinations[index].namedGroups[group.name] else { return nil }
        return (index, group)
    }

    /// Finds or creates a group. `start` counts only for a new one. `created` tells whether the file must be told.
    package mutating func group(
        _ name: String, in index: Int, start: StartPosition
    ) throws(BinderError) -> (group: Int, created: Bool, gap: Bool) {
        if let group = destinations[index].namedGroups[name] { return (group, false, false) }
        guard groupCount < limits.names else {
            throw BinderError(
                .blocked, "group \(name) would be one more than the \(limits.names) that the embedded broker holds; raise the limit")
        }
        let (cursor, gap) = try position(of: start, in: index)
        let group = destinations[index].add(GroupState(name: name, cursor: cursor, durable: durable))
        destinations[index].namedGroups[name] = group
        groupCount += 1
        return (group, true, gap)
    }

    /// Takes over a destination that a file held: its events, without their envelopes, come with `restore(entry:)`.
    mutating func restore(destination name: String, first: UInt64) {
        indices[name] = destinations.count
        destinations.append(DestinationState(name: name, log: EventLog(first: first), trimmed: first))
    }

    mutating func restore(entryOf index: Int, lane: UInt64, size: Int, time: Int64) {
        destinations[index].log.append(nil, lane: lane, size: size, time: time)
    }

    /// Takes over a group that a file held.
    mutating func restore(group name: String, in index: Int, cursor: UInt64) -> Int {
        let group = destinations[index].add(GroupState(name: name, cursor: cursor, durable: durable))
        destinations[index].namedGroups[name] = group
        groupCount += 1
        return group
    }

    // MARK: Members

    /// A member of an existing group.
    package mutating func join(group: Int, in destination: Int, prefetch: Int) -> Seat {
        lastMember += 1
        destinations[destination].groups[group]?.join(lastMember, prefetch: prefetch)
        return Seat(destination: destination, group: group, member: lastMember)
    }

    /// A broadcast subscription. `gap` tells that the position asked for is no longer here.
    package mutating func joinBroadcast(_ destination: Int, prefetch: Int, start: StartPosition) throws(BinderError) -> (
        seat: Seat, gap: Bool
    ) {
        let (cursor, gap) = try position(of: start, in: destination)
        let group = destinations[destination].add(GroupState(name: nil, cursor: cursor))
        return (join(group: group, in: destination, prefetch: prefetch), gap)
    }

    package mutating func leave(_ seat: Seat, _ out: inout [HandOut]) {
        destinations[seat.destination].withGroup(seat.group) { group, log in group.leave(seat.member, log: log, &out) }
        if destinations[seat.destination].groups[seat.group]?.name == nil { destinations[seat.destination].remove(seat.group) }
        trim(seat.destination)
    }

    /// The next event for a member, if there is one now.
    package mutating func take(_ seat: Seat, _ out: inout [HandOut]) -> HandOut? {
        destinations[seat.destination].withGroup(seat.group) { group, log in group.take(seat.member, log: log, &out) } ?? nil
    }

    package mutating func ask(_ seat: Seat, _ out: inout [HandOut]) {
        destinations[seat.destination].withGroup(seat.group) { group, log in group.ask(seat.member, log: log, &out) }
    }

    package mutating func stopAsking(_ seat: Seat) { destinations[seat.destination].groups[seat.group]?.stopAsking(seat.member) }

    package mutating func settle(
        _ position: UInt64, at seat: Seat, attempt: Int, _ outcome: GroupState.Outcome, _ out: inout [HandOut]
    ) -> GroupState.Settled {
        destinations[seat.destination].withGroup(seat.group) { group, log in
            group.settle(position, by: seat.member, attempt: attempt, outcome, log: log, &out)
        } ?? .stale
    }

    // MARK: Events

    /// Whether the group has nothing to do; nil where there is no such group.
    func isIdle(_ name: String, in index: Int) -> Bool? {
        guard let group = destinations[index].namedGroups[name] else { return nil }
        return destinations[index].groups[group]?.pendingEvents(destinations[index].log) == 0
    }

    /// Whether one more event of this size may be taken: `staged` are those that wait for their commit.
    package func admit(size: Int, to index: Int, staged: (events: Int, bytes: Int) = (0, 0)) throws(BinderError) {
        for case let group? in destinations[index].groups where group.name != nil {
            let events = group.pendingEvents(destinations[index].log) + staged.events
            let bytes = group.pendingBytes(destinations[index].log) + staged.bytes
            guard events < limits.backlogEvents, bytes + size <= limits.backlogBytes else {
                throw BinderError(
                    .blocked,
                    "group \(group.name ?? "") of \(destinations[index].name) has \(events) events with \(bytes) bytes to do, which is its bound;"
                        + " consume them, or raise the bound")
            }
        }
    }

    /// Appends an event and hands it to those who wait. Returns its position.
    package mutating func append(_ stored: StoredEnvelope, size: Int, to index: Int, time: Int64, _ out: inout [HandOut]) -> UInt64 {
        let position = destinations[index].log.next
        destinations[index].log.append(stored, lane: Self.lane(of: stored.envelope), size: size, time: time)
        for group in destinations[index].groups.indices {
            destinations[index].withGroup(group) { group, log in group.pump(log, &out) }
        }
        if durable { destinations[index].log.forget(over: limits.memoryBytes) }
        trim(index)
        return position
    }

    private mutating func trim(_ index: Int) { destinations[index].trim(limits) }

    // MARK: Time

    /// When the earliest delayed event of all groups is due.
    package mutating func nextDue() -> Int64? {
        var earliest: Int64?
        for destination in destinations.indices {
            for group in destinations[destination].groups.indices {
                if let due = destinations[destination].groups[group]?.nextDue() { earliest = min(earliest ?? due, due) }
            }
        }
        return earliest
    }

    /// Gives what is due at `now` of the broker's clock.
    package mutating func wake(_ now: Int64, _ out: inout [HandOut]) {
        for destination in destinations.indices {
            for group in destinations[destination].groups.indices {
                destinations[destination].withGroup(group) { group, log in group.wake(now, log: log, &out) }
            }
        }
    }

    // MARK: Access

    /// Looks at or changes one group with the log of its destination.
    mutating func withGroup<T>(_ group: Int, of destination: Int, _ body: (inout GroupState, EventLog) -> T) -> T? {
        destinations[destination].withGroup(group, body)
    }

    mutating func withDestination<T>(_ index: Int, _ body: (inout DestinationState) -> T) -> T { body(&destinations[index]) }

    // MARK: Durable state

    /// What has changed since the last commit, besides events that are not appended yet. `known` destinations are in the file.
    mutating func takeBatch(known: Int) -> JournalBatch {
        var batch = JournalBatch()
        batch.destinations = destinations[known...].map(\.name)
        for index in destinations.indices {
            for group in destinations[index].groups.indices {
                guard let name = destinations[index].groups[group]?.name, destinations[index].groups[group]?.isDirty == true else {
                    continue
                }
                let taken = destinations[index].withGroup(group) { group, _ in (group.cursor, group.takeChanges()) }
                guard let (cursor, changes) = taken else { continue }
                batch.groups.append(.init(destination: index, index: group, name: name, cursor: cursor, changes: changes))
            }
            let first = destinations[index].log.first
            if first > destinations[index].trimmed {
                batch.trims.append(.init(destination: index, from: destinations[index].trimmed, first: first))
                destinations[index].trimmed = first
            }
        }
        return batch
    }

    /// Marks what a batch held again, since it was not written.
    mutating func putBack(_ batch: JournalBatch) {
        for group in batch.groups {
            _ = withGroup(group.index, of: group.destination) { state, _ in state.putBack(group.changes.lazy.map(\.position)) }
        }
        for trim in batch.trims { destinations[trim.destination].trimmed = trim.from }
    }

    // MARK: Positions

    func text(of position: UInt64) -> String { "\(epoch)-\(position)" }

    private func position(of start: StartPosition, in index: Int) throws(BinderError) -> (cursor: UInt64, gap: Bool) {
        let log = destinations[index].log
        switch start {
        case .latest: return (log.next, false)
        case .earliest: return (log.first, false)
        case .time(let time): return (log.position(from: time), false)
        case .after(let text):
            let parts = text.split(separator: "-")
            guard parts.count == 2, let last = UInt64(parts[1]), last < .max else {
                throw BinderError(
                    .invalid, "\(text.prefix(40)) is not a position of the embedded broker; use one that a delivery came with")
            }
            guard parts[0] == epoch, last < log.next else { return (log.first, true) }
            return last + 1 < log.first ? (log.first, true) : (last + 1, false)
        }
    }

    /// Bytes that an envelope counts as.
    static func size(of envelope: Envelope) -> Int {
        var size =
            envelope.payload.count + envelope.id.utf8.count + (envelope.key?.utf8.count ?? 0) + (envelope.contentType?.utf8.count ?? 0)
        for (name, value) in envelope.headers { size += name.utf8.count + value.size }
        return size
    }

    /// The lane of an envelope's key; two keys may share one, which costs nothing but waiting.
    static func lane(of envelope: Envelope) -> UInt64 {
        guard let key = envelope.key else { return 0 }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325  // FNV-1a
        for byte in key.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return max(hash, 1)
    }
}

extension LocalBroker.DestinationState {
    mutating func add(_ group: GroupState) -> Int {
        if let index = free.popLast() {
            groups[index] = group
            return index
        }
        groups.append(group)
        return groups.count - 1
    }

    mutating func remove(_ group: Int) {
        groups[group] = nil
        free.append(group)
    }

    /// Drops history over its bound, but nothing that a group has yet to take.
    mutating func trim(_ limits: LocalLimits) {
        guard log.count > limits.historyEvents || log.bytes > limits.historyBytes else { return }
        var needed = log.next
        for case let group? in groups where group.name != nil { needed = min(needed, group.cursor) }
        _ = log.trim(events: limits.historyEvents, bytes: limits.historyBytes, needed: needed)
    }

    mutating func withGroup<T>(_ index: Int, _ body: (inout GroupState, EventLog) -> T) -> T? {
        guard groups.indices.contains(index), groups[index] != nil else { return nil }
        return body(&groups[index]!, log)
    }
}

extension HeaderValue {
    fileprivate var size: Int {
        switch self {
        case .string(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .array(let values): values.reduce(0) { $0 + $1.size }
        case .table(let values): values.reduce(0) { $0 + $1.key.utf8.count + $1.value.size }
        case .integer, .double, .boolean, .timestamp, .null: 8
        }
    }
}
