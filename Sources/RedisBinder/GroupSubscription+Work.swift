import Locking
import Streams
import Telemetry
import ThreadExecutor

/// What the thread does in each turn: settlements, heartbeats and reads go out.
extension GroupSubscription {
    func work(isConnected: Bool) throws(RedisFailure) {
        let mayHold = Monotonic.now < holdUntil
        let enough = holdings.count - options.prefetch / 4
        let (accepted, settlings, drainAsked, held) = inbox.withLock { inbox -> ([UInt64], [Settling], Bool, Bool) in
            // While there is enough to hand out, a few acceptances wait for more of them.
            if mayHold, !inbox.drainAsked, inbox.settlings.isEmpty, inbox.accepted.count < Self.few, inbox.accepted.count < enough {
                return ([], [], false, !inbox.accepted.isEmpty)
            }
            defer {
                inbox.accepted.removeAll(keepingCapacity: true)
                inbox.settlings = []
            }
            return (inbox.accepted, inbox.settlings, inbox.drainAsked, false)
        }
        isHolding = held
        if !held { holdUntil = Monotonic.now + Self.hold }
        for ticket in accepted {
            if let holding = holdings.removeValue(forKey: ticket) { acknowledgements.append(holding.id) }
        }
        self.settlings.append(contentsOf: settlings)
        if drainAsked, !isDraining { startDraining() }
        guard isConnected, let teller else { return }
        let now = Monotonic.now
        try checkAnswers(now, at: teller)
        sendSettlements()
        switch stage {
        case .ensuring: if now >= ensureFrom, !isEnsuring { try ensure() }
        case .serving:
            tick(now)
            read(now)
        case .away, .checking, .failed: break
        }
    }

    func checkAnswers(_ now: UInt64, at connection: RedisConnection) throws(RedisFailure) {
        let limit = configuration.replyLimit
        let isLate = questions.first.map { now > $0.at + limit.nanoseconds } ?? false
        if isLate || (reading > 0 && now > readUntil + limit.nanoseconds) {
            throw RedisFailure(.connection, "\(connection.address) owes an answer for longer than \(limit)")
        }
    }

    func sendSettlements() {
        guard teller != nil else { return }
        var rest = acknowledgements[...]
        while !rest.isEmpty {
            let ids = Array(rest.prefix(1000))
            rest = rest.dropFirst(ids.count)
            var command = RedisCommand("XACK", keys.stream, group.name)
            command.reserve(64 + ids.count * 20, arguments: ids.count + 3)
            for id in ids { command.add(id.description) }
            ask(command, .acknowledge(ids))
        }
        acknowledgements.removeAll(keepingCapacity: true)
        guard !settlings.isEmpty else { return }
        var back: [(settling: Settling, holding: Holding)] = []
        for settling in settlings {
            guard let holding = holdings.removeValue(forKey: settling.ticket) else {
                settling.call?.fail(.invalid, "this delivery was settled before")
                continue
            }
            switch settling.action {
            case .retry, .release: back.append((settling, holding))
            case .reject(let reason): bury(settling, holding, reason)
            }
        }
        settlings = []
        var all = back[...]
        while !all.isEmpty {
            let some = Array(all.prefix(500))
            all = all.dropFirst(some.count)
            ask(Scripts.giveBack(keys, group: group.name, member: member, some.map(Self.entry)), .giveBack(some))
        }
        for (settling, _) in back {
            if case .retry(let delay) = settling.action { nextTick = min(nextTick, Monotonic.now + UInt64(delay) * 1_000_000) }
        }
    }

    static func entry(_ one: (settling: Settling, holding: Holding)) -> Scripts.GivenBack {
        switch one.settling.action {
        case .retry(let delay): Scripts.GivenBack(id: one.holding.id, delay: delay)
        case .release, .reject:
            // Taken again it counts one more: as if it had never been here.
            Scripts.GivenBack(id: one.holding.id, delay: 0, deliveries: max(0, one.holding.attempt - 1))
        }
    }

    func bury(_ settling: Settling, _ holding: Holding, _ reason: FailureReason) {
        let fields = [
            (DeadField.message, reason.message), (DeadField.kind, reason.kind), (DeadField.attempts, String(holding.attempt)),
            (DeadField.time, String(Timestamp.now.milliseconds)),
        ]
        ask(Scripts.bury(keys, group: group.name, id: holding.id, fields: fields), .bury(settling, holding))
    }

    /// Whether the read under way leaves room for what waits for a retry.
    var hasRoom: Bool { options.prefetch > holdings.count + reading }

    func tick(_ now: UInt64) {
        if isDue, hasRoom {
            isDue = false
            nextTick = min(nextTick, now)
        }
        // With the only room promised to a read, the read comes first, which ends soon.
        if reading > 0, !hasRoom, options.prefetch > holdings.count, now < nextTick + Self.pause { return }
        guard !isTicking, !isLeaving, questions.count < 100 else { return }
        let due = stray.filter { $0.value <= now }.map(\.key)
        guard now >= nextTick || !due.isEmpty else { return }
        for id in due { stray[id] = nil }
        let sweeps = now >= nextSweep
        if sweeps {
            nextSweep = now + configuration.lease.nanoseconds / 3
            ask(Scripts.trim(keys, configuration), .trim)
            askForOurs(from: .zero, idle: configuration.lease.milliseconds / 3)
        }
        claiming = isDraining ? 0 : max(0, options.prefetch - holdings.count - reading)
        isTicking = true
        nextTick = now + Self.pause
        ask(
            Scripts.tick(
                keys, group: group.name, member: member, lease: configuration.lease.milliseconds, limit: claiming, sweeps: sweeps, ids: due),
            .tick(limit: claiming, asked: due))
    }

    /// Entries that the server says are ours: what it handed to a connection that was lost under way is not in our hands.
    func askForOurs(from id: StreamID, idle: Int) {
        ask(
            RedisCommand("XPENDING", keys.stream, group.name, "IDLE", String(idle), id.description, "+", "1000", member), .ours(from: id))
    }

    func read(_ now: UInt64) {
        guard reading == 0, !isDraining, let reader, !readerAsked else { return }
        let free = options.prefetch - holdings.count - claiming
        // Few at a time are fetched only after a moment in which more room may come.
        guard free >= max(1, options.prefetch / 4) || (free > 0 && now >= readFrom) else { return }
        // Some room is left for what waits for a retry; where there is not enough for that, the two take turns.
        let reserve = options.prefetch > 1 ? max(1, options.prefetch / 8) : 0
        let count = min(Self.readLimit, free > reserve ? free - reserve : free)
        let pause = count < free ? Self.pause : min(Self.pause, nextTick > now ? nextTick - now : 0)
        let block = max(1, pause / 1_000_000)
        reader.send(
            RedisCommand(
                "XREADGROUP", "GROUP", group.name, member, "COUNT", String(count), "BLOCK", String(block), "STREAMS", keys.stream, ">"
            ).encoded)
        reading = count
        readUntil = now + block * 1_000_000
    }

    func startDraining() {
        isDraining = true
        var untaken = desk.drain()
        while let delivery = untaken.popFirst() { delivery.settlement.release() }
    }
}
