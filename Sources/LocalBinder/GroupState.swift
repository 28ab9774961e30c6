package import Streams

/// An event handed to a member.
package struct HandOut: Sendable {
    package let member: UInt64
    package let position: UInt64
    package let attempt: Int
    /// Nil when it must be read from the file first.
    let stored: StoredEnvelope?
    /// A broadcast subscription has missed events before this one: they were dropped from the log.
    let gap: Bool
}

/// One group of a destination, or one broadcast subscription as a group of its own: who has which event in hand, and what comes next.
///
/// A value without I/O, clock or continuation. An event is at any time in exactly one of these states:
/// ```
/// in the log at or after `cursor` ──take──► inHand ──accept, reject──► gone (done, or a dead letter)
///              │                              ▲ │ ╰──retry(after)──► delayed ──due──╮
///              ╰─another member has its lane─► assigned                             │
///                                             ▲ ╰─retry, member ended──► ready ◄────╯
///                                             ╰──────────take───────────╯
/// ```
package struct GroupState: Sendable {
    enum Place: Sendable, Hashable {
        case ready
        case inHand(UInt64)
        case assigned(UInt64)
        case delayed(until: Int64)
    }
    struct Outstanding: Sendable {
        var stored: StoredEnvelope?
        var lane: UInt64
        var size: Int
        var time: Int64
        /// How many times it was handed out.
        var attempt: Int
        var place: Place
    }
    struct DeadRecord: Sendable {
        /// Nil when it is only on disk.
        var stored: StoredEnvelope?
        let lane: UInt64
        let size: Int
        let reason: FailureReason
        let attempts: Int
        let time: Int64
    }
    /// What a file has to be told of a position.
    enum Change: Sendable {
        case gone
        case outstanding(attempt: Int, due: Int64?)
        case dead(DeadRecord)
    }
    struct Member: Sendable {
        let prefetch: Int
        var inHand = 0
        var asking = false
        var queued = false
        var assigned = MinimumHeap<UInt64>()
    }
    struct Lane: Sendable {
        let member: UInt64
        var count: Int
    }
    struct Due: Comparable, Sendable {
        let at: Int64
        let position: UInt64
        static func < (left: Due, right: Due) -> Bool { (left.at, left.position) < (right.at, right.position) }
    }

    struct Ready: Comparable, Sendable {
        let position: UInt64
        let lane: UInt64
        static func < (left: Ready, right: Ready) -> Bool { left.position < right.position }
    }

    /// A member that is slow holds back at most this many events of its lanes before the others wait for it.
    private static let assignedLimit = 1000

    /// Nil: a broadcast subscription, whose events are not kept for it.
    let name: String?
    /// The position of the next event that was never handed out.
    var cursor: UInt64
    var outstanding: [UInt64: Outstanding] = [:]
    var outstandingBytes = 0
    var dead: [UInt64: DeadRecord] = [:]
    var deadBytes = 0
    let durable: Bool
    /// Positions whose state was changed since the last commit; only kept for a durable group.
    var changed: Set<UInt64> = []
    /// Positions that the file has a row of.
    var recorded: Set<UInt64> = []
    /// Whether the file must be told something.
    var isDirty: Bool
    var ready = MinimumHeap<Ready>()
    /// How many of `ready` are of each lane: later events of it wait for them.
    var readyLanes: [UInt64: Int] = [:]
    /// The event handed out last was a redelivery: a new one comes next, so that an event that always fails cannot starve the others.
    var newIsNext = false
    /// Events were dropped before they were read, and nobody was told yet.
    var missed = false
    var delayed = MinimumHeap<Due>()
    var inHandCount = 0
    var delayedCount = 0
    /// Accepted and rejected since the broker was started.
    var doneCount = 0
    var members: [UInt64: Member] = [:]
    var waiting = Fifo<UInt64>()
    var lanes: [UInt64: Lane] = [:]

    init(name: String?, cursor: UInt64, durable: Bool = false) {
        self.name = name
        self.cursor = cursor
        self.durable = durable
        isDirty = durable
    }

    // MARK: Members

    var memberCount: Int { members.count }

    mutating func join(_ member: UInt64, prefetch: Int) { members[member] = Member(prefetch: max(1, prefetch)) }

    /// What the member had in hand goes to the others.
    mutating func leave(_ member: UInt64, log: EventLog, _ out: inout [HandOut]) {
        guard members.removeValue(forKey: member) != nil else { return }
        for (position, one) in outstanding where one.place == .inHand(member) || one.place == .assigned(member) {
            if case .inHand = one.place { inHandCount -= 1 }
            makeReady(position)
        }
        lanes = lanes.filter { $0.value.member != member }
        pump(log, &out)
    }

    /// The next event for the member, if there is one and its prefetch allows it. May hand events of a lane to the members that own it.
    ///
    /// A member with a prefetch of one gets what was handed back before anything later; with more, redeliveries and new events take turns.
    mutating func take(_ member: UInt64, log: EventLog, _ out: inout [HandOut]) -> HandOut? {
        if cursor < log.first {
            cursor = log.first
            missed = true
        }
        while let one = members[member], one.inHand < one.prefetch {
            let own = one.assigned.minimum
            if let own, ready.minimum.map({ own < $0.position }) ?? true {
                _ = members[member]?.assigned.pop()
                if let handOut = hand(own, to: member) { return handOut }
                continue
            }
            let newFirst = newIsNext && one.prefetch > 1 && cursor < log.next && readyLanes[log[cursor].lane] == nil
            if !newFirst, let first = ready.minimum {
                if let owner = owner(of: first.lane), owner != member {
                    guard assign(first.position, to: owner, &out) else { return nil }
                    popReady()
                    continue
                }
                popReady()
                newIsNext = (outstanding[first.position]?.attempt ?? 0) > 0
                if let handOut = hand(first.position, to: member) { return handOut }
                continue
            }
            guard cursor < log.next else { return nil }
            newIsNext = false
            let position = cursor
            let entry = log[position]
            if let owner = owner(of: entry.lane), owner != member {
                guard mayAssign(to: owner) else { return nil }
                enter(entry, at: position)
                _ = assign(position, to: owner, &out)
                continue
            }
            enter(entry, at: position)
            return hand(position, to: member)
        }
        return nil
    }

    /// The member waits for the next event: it comes with a later `out`.
    mutating func ask(_ member: UInt64, log: EventLog, _ out: inout [HandOut]) {
        members[member]?.asking = true
        queue(member)
        pump(log, &out)
    }

    mutating func stopAsking(_ member: UInt64) { members[member]?.asking = false }

    // MARK: Settling

    /// What became of a settlement.
    package enum Settled: Sendable, Hashable {
        case done
        /// Kept as a dead letter; tells how many of the oldest had to go for it.
        case dead(dropped: Int)
        /// The member no longer has this delivery in hand.
        case stale
    }

    mutating func settle(
        _ position: UInt64, by member: UInt64, attempt: Int, _ outcome: Outcome, log: EventLog, _ out: inout [HandOut]
    ) -> Settled {
        guard let one = outstanding[position], one.place == .inHand(member), one.attempt == attempt else { return .stale }
        var result = Settled.done
        inHandCount -= 1
        members[member]?.inHand -= 1
        releaseLane(one.lane)
        switch outcome {
        case .accept:
            remove(position)
            doneCount += 1
        case .unseen:
            outstanding[position]?.attempt -= 1
            makeReady(position)
        case .retry(nil): makeReady(position)
        case .retry(let due?):
            outstanding[position]?.place = .delayed(until: due)
            if durable { outstanding[position]?.stored = nil }  // read again from the file when it is due
            delayedCount += 1
            delayed.push(Due(at: due, position: position))
            touch(position)
        case .reject(let reason, let time, let limits):
            remove(position)
            doneCount += 1
            if let reason {
                let record = DeadRecord(
                    stored: durable ? nil : one.stored, lane: one.lane, size: one.size, reason: reason, attempts: one.attempt, time: time)
                result = .dead(dropped: bury(record, at: position, limits))
            }
        }
        if members[member]?.asking == true {
            if let own = members[member]?.assigned.minimum, ready.minimum.map({ own < $0.position }) ?? true {
                serve(member, log, &out)
            } else {
                queue(member)
            }
        }
        pump(log, &out)
        return result
    }

    package enum Outcome: Sendable {
        case accept
        /// Handed back before anybody saw it: does not count as an attempt.
        case unseen
        /// At once, or at this time of the broker's clock in milliseconds.
        case retry(Int64?)
        /// With the reason where a dead letter is to be kept.
        case reject(FailureReason?, time: Int64, LocalLimits)
    }

    // MARK: Time

    /// When the next delayed event is due.
    mutating func nextDue() -> Int64? {
        while let due = delayed.minimum {
            if outstanding[due.position]?.place == .delayed(until: due.at) { return due.at }
            _ = delayed.pop()
        }
        return nil
    }

    mutating func wake(_ now: Int64, log: EventLog, _ out: inout [HandOut]) {
        while let due = nextDue(), due <= now, let first = delayed.pop() {
            delayedCount -= 1
            makeReady(first.position)
        }
        pump(log, &out)
    }

    // MARK: Steps

    mutating func touch(_ position: UInt64) {
        guard durable else { return }
        changed.insert(position)
        isDirty = true
    }

    func owner(of lane: UInt64) -> UInt64? { lane == 0 ? nil : lanes[lane]?.member }

    mutating func enter(_ entry: LogEntry, at position: UInt64) {
        outstanding[position] = Outstanding(
            stored: entry.stored, lane: entry.lane, size: entry.size, time: entry.time, attempt: 0, place: .ready)
        outstandingBytes += entry.size
        cursor = position + 1
    }

    mutating func makeReady(_ position: UInt64) {
        let lane = outstanding[position]?.lane ?? 0
        outstanding[position]?.place = .ready
        ready.push(Ready(position: position, lane: lane))
        if lane != 0 { readyLanes[lane, default: 0] += 1 }
        touch(position)
    }

    mutating func popReady() {
        guard let first = ready.pop(), first.lane != 0, let count = readyLanes[first.lane] else { return }
        readyLanes[first.lane] = count > 1 ? count - 1 : nil
    }

    mutating func remove(_ position: UInt64) {
        guard let one = outstanding.removeValue(forKey: position) else { return }
        outstandingBytes -= one.size
        touch(position)
    }

    mutating func releaseLane(_ lane: UInt64) {
        guard lane != 0, let one = lanes[lane] else { return }
        lanes[lane] = one.count > 1 ? Lane(member: one.member, count: one.count - 1) : nil
    }

    mutating func hold(_ lane: UInt64, _ member: UInt64) {
        guard lane != 0 else { return }
        lanes[lane, default: Lane(member: member, count: 0)].count += 1
    }

    mutating func hand(_ position: UInt64, to member: UInt64) -> HandOut? {
        guard let one = outstanding[position] else { return nil }
        if one.place != .assigned(member) { hold(one.lane, member) }
        outstanding[position]?.attempt = one.attempt + 1
        outstanding[position]?.place = .inHand(member)
        inHandCount += 1
        members[member]?.inHand += 1
        touch(position)
        defer { missed = false }
        return HandOut(member: member, position: position, attempt: one.attempt + 1, stored: one.stored, gap: missed)
    }

    func mayAssign(to member: UInt64) -> Bool { (members[member]?.assigned.count ?? 0) < Self.assignedLimit }

    /// Keeps an event for the member that has earlier ones of its lane in hand. False when that member has too many of them.
    mutating func assign(_ position: UInt64, to member: UInt64, _ out: inout [HandOut]) -> Bool {
        guard mayAssign(to: member), let one = outstanding[position], let owner = members[member] else { return false }
        hold(one.lane, member)
        outstanding[position]?.place = .assigned(member)
        if owner.asking, owner.inHand < owner.prefetch, owner.assigned.isEmpty, let handOut = hand(position, to: member) {
            members[member]?.asking = false
            out.append(handOut)
        } else {
            members[member]?.assigned.push(position)
        }
        return true
    }

    mutating func queue(_ member: UInt64) {
        guard let one = members[member], one.asking, !one.queued, one.inHand < one.prefetch else { return }
        members[member]?.queued = true
        waiting.append(member)
    }

    mutating func serve(_ member: UInt64, _ log: EventLog, _ out: inout [HandOut]) {
        guard let handOut = take(member, log: log, &out) else { return queue(member) }
        members[member]?.asking = false
        out.append(handOut)
    }

    /// Gives what is there to those who wait, the longest waiting first.
    mutating func pump(_ log: EventLog, _ out: inout [HandOut]) {
        while !ready.isEmpty || cursor < log.next, let member = waiting.popFirst() {
            guard let one = members[member] else { continue }
            members[member]?.queued = false
            guard one.asking, one.inHand < one.prefetch else { continue }
            if let handOut = take(member, log: log, &out) {
                members[member]?.asking = false
                out.append(handOut)
            } else if members[member]?.asking == true {
                members[member]?.queued = true
                waiting.putBack(member)
                return
            }
        }
    }
}
