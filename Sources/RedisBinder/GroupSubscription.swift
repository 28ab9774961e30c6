import Locking
import Streams
import Telemetry
import ThreadExecutor

/// One member of a group: one connection waits for entries, the other tells the server what became of them, says every second that the member
/// lives, and takes over what waits for a retry.
///
/// What is not in a lock is touched on the connections' thread only.
final class GroupSubscription: ConnectionRole, DeliverySource, @unchecked Sendable {
    /// A settlement that the server must confirm.
    struct Settling: Sendable {
        enum Action: Sendable {
            case retry(milliseconds: Int)
            case reject(FailureReason)
            /// Nobody has seen it: it goes back without counting.
            case release
        }
        var ticket: UInt64
        var action: Action
        /// Who waits for it; nil: nobody.
        var call: PendingCall?
    }
    private struct Inbox {
        var accepted: [UInt64] = []
        var settlings: [Settling] = []
        var isClosed = false
        var drainAsked = false
    }
    /// An entry that belongs to this member, delivered or about to be.
    private struct Holding {
        var id: StreamID
        var attempt: Int
    }
    private enum Question {
        case unblock
        case ensure
        case ours(from: StreamID)
        case acknowledge([StreamID])
        case giveBack([(settling: Settling, holding: Holding)])
        case bury(Settling, Holding)
        case tick(limit: Int, asked: [StreamID])
        case trim
        case leave
    }
    private enum Stage { case away, ensuring, checking, serving, failed }

    let purpose: String
    let width = 2
    let wakeUp = WakeUp()
    let destination: Destination
    let group: ConsumerGroup
    let options: SubscriptionOptions
    let keys: RedisKeys
    let log: Log
    let metrics: Metrics
    let configuration: RedisConfiguration
    /// Unlike that of any other member, now or ever.
    let member: String
    let desk: DeliveryDesk
    private let start: String
    private let inbox = Locked(Inbox())
    private static let pause: UInt64 = 1_000_000_000
    private static let hold: UInt64 = 1_000_000
    private static let few = 64
    private static let readPause: UInt64 = 2_000_000
    private static let readLimit = 1000

    // The thread's own.
    private var isHolding = false
    private var holdUntil: UInt64 = 0
    private var reader: RedisConnection?
    private var teller: RedisConnection?
    private var readerID: String?
    private var stage = Stage.away
    private var wasReady = false
    /// Known to have been on the server: created again it must not begin at its end.
    private var isKnown = false
    /// Whether events may have been missed since the position was last established.
    private var missed = false
    private var questions = FIFO<(question: Question, at: UInt64)>()
    private var holdings: [UInt64: Holding] = [:]
    private var nextTicket: UInt64 = 0
    private var reading = 0
    private var readUntil: UInt64 = 0
    private var readFrom: UInt64 = 0
    /// Whether something waits for its retry that found no room here.
    private var isDue = false
    private var readerAsked = false
    private var incoming: [ReceivedEnvelope] = []
    private var acknowledgements: [StreamID] = []
    private var settlings: [Settling] = []
    /// Entries of this member that must be fetched again, and when: what could not be handed back, what was lost on the way.
    private var stray: [StreamID: UInt64] = [:]
    private var nextTick: UInt64 = 0
    private var nextSweep: UInt64 = 0
    private var ensureFrom: UInt64 = 0
    private var isTicking = false
    private var claiming = 0
    private var isDraining = false
    private var isUnblocking = false
    private var isLeaving = false
    private var hasLeft = false

    init(
        to destination: Destination, group: ConsumerGroup, options: SubscriptionOptions, keys: RedisKeys, start: String,
        configuration: RedisConfiguration, log: Log, metrics: Metrics
    ) {
        self.destination = destination
        self.group = group
        self.options = options
        self.keys = keys
        self.start = start
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        purpose = destination.name
        member = "\(configuration.clientName)-\(Identifier.random())"
        desk = DeliveryDesk(destination)
    }

    // MARK: For the binder and its callers

    func next() async throws(BinderError) -> ReceivedEnvelope? { try await desk.next() }

    /// Hands an acceptance to the thread, which tells the server of many at once. Throws after the subscription has ended.
    func accept(_ ticket: UInt64) throws(BinderError) {
        let first = inbox.withLock { inbox -> Bool? in
            if inbox.isClosed { return nil }
            inbox.accepted.append(ticket)
            return inbox.accepted.count == 1 && inbox.settlings.isEmpty
        }
        guard let first else { throw Self.ended }
        if first { wakeUp.call() }
    }

    /// Hands another settlement to the thread.
    func settle(_ settling: Settling) throws(BinderError) {
        let isOpen = inbox.withLock { inbox in
            if !inbox.isClosed { inbox.settlings.append(settling) }
            return !inbox.isClosed
        }
        guard isOpen else { throw Self.ended }
        wakeUp.call()
    }

    private static var ended: BinderError {
        BinderError(.closed, "the subscription that brought this delivery has ended: Redis delivers it again")
    }

    /// No more deliveries; those in hand can still be settled.
    func drain() {
        inbox.withLock { $0.drainAsked = true }
        wakeUp.call()
    }

    // MARK: Connections

    var nextMoment: UInt64 {
        if isHolding { return holdUntil }
        let now = Monotonic.now
        if stage != .serving { return max(ensureFrom, now + 20_000_000) }
        var moment = nextTick
        for due in stray.values { moment = min(moment, due) }
        // A tick under way makes the next one wait, and so may a read; whoever owes an answer is looked after.
        if isTicking || !questions.isEmpty || reading > 0 && !hasRoom { moment = max(moment, now + 50_000_000) }
        let mayRead = reading == 0 && !isDraining && options.prefetch > holdings.count + claiming
        return mayRead ? min(moment, max(readFrom, now + 1_000_000)) : moment
    }

    func connected(_ connections: [RedisConnection]) throws(RedisFailure) {
        reader = connections[0]
        teller = connections[1]
        readerID = nil
        reading = 0
        connections[0].send(RedisCommand("CLIENT", "ID").encoded)
        readerAsked = true
        stage = .ensuring
        ensureFrom = Monotonic.now
        sendSettlements()
        try ensure()
    }

    private func ask(_ command: RedisCommand, _ question: Question) {
        guard let teller else { return }
        teller.send(command.encoded)
        questions.append((question, Monotonic.now))
    }

    private func ensure() throws(RedisFailure) {
        ask(Scripts.ensure(keys, group: group.name, start: start, known: isKnown), .ensure)
    }

    func lost(_ failure: RedisFailure) {
        reader = nil
        teller = nil
        reading = 0
        readerAsked = false
        isTicking = false
        claiming = 0
        isUnblocking = false
        incoming = []
        stage = .away
        metrics.count("carillon_redis_lost_total", ["connection": "subscribe"], help: "Connections that were lost or could not be made.")
        // Said again on the next connection: all of it may be said twice.
        while let (question, _) = questions.popFirst() {
            switch question {
            case .acknowledge(let ids): acknowledgements.append(contentsOf: ids)
            case .giveBack(let all): for one in all { again(one.settling, one.holding) }
            case .bury(let settling, let holding): again(settling, holding)
            default: break
            }
        }
        if desk.interrupt(failure.binderError.message) { options.events(.interrupted(failure.binderError.message)) }
    }

    private func again(_ settling: Settling, _ holding: Holding) {
        holdings[settling.ticket] = holding
        settlings.append(settling)
    }

    /// The group, or the stream, is gone: make it again, without haste where that happens again and again.
    private func rebuild(_ failure: RedisFailure) {
        guard stage == .serving || stage == .checking else { return }
        stage = .ensuring
        ensureFrom = max(Monotonic.now, ensureFrom + 200_000_000)
        isUnblocking = false
        log.warning(
            "the group is gone from Redis and is created again",
            ["destination": destination.name, "group": group.name, "reason": failure.text])
        if desk.interrupt(failure.text) { options.events(.interrupted(failure.text)) }
    }

    private var isEnsuring: Bool {
        for offset in 0..<questions.count { if case .ensure? = questions[offset]?.question { return true } }
        return false
    }

    // MARK: Work

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

    private func checkAnswers(_ now: UInt64, at connection: RedisConnection) throws(RedisFailure) {
        let limit = configuration.replyLimit
        let isLate = questions.first.map { now > $0.at + limit.nanoseconds } ?? false
        if isLate || (reading > 0 && now > readUntil + limit.nanoseconds) {
            throw RedisFailure(.connection, "\(connection.address) owes an answer for longer than \(limit)")
        }
    }

    private func sendSettlements() {
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

    private static func entry(_ one: (settling: Settling, holding: Holding)) -> Scripts.GivenBack {
        switch one.settling.action {
        case .retry(let delay): Scripts.GivenBack(id: one.holding.id, delay: delay)
        case .release, .reject:
            // Taken again it counts one more: as if it had never been here.
            Scripts.GivenBack(id: one.holding.id, delay: 0, deliveries: max(0, one.holding.attempt - 1))
        }
    }

    private func bury(_ settling: Settling, _ holding: Holding, _ reason: FailureReason) {
        let fields = [
            (DeadField.message, reason.message), (DeadField.kind, reason.kind), (DeadField.attempts, String(holding.attempt)),
            (DeadField.time, String(Timestamp.now.milliseconds)),
        ]
        ask(Scripts.bury(keys, group: group.name, id: holding.id, fields: fields), .bury(settling, holding))
    }

    /// Whether the read under way leaves room for what waits for a retry.
    private var hasRoom: Bool { options.prefetch > holdings.count + reading }

    private func tick(_ now: UInt64) {
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
    private func askForOurs(from id: StreamID, idle: Int) {
        ask(
            RedisCommand("XPENDING", keys.stream, group.name, "IDLE", String(idle), id.description, "+", "1000", member), .ours(from: id))
    }

    private func read(_ now: UInt64) {
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

    private func startDraining() {
        isDraining = true
        var untaken = desk.drain()
        while let delivery = untaken.popFirst() { delivery.settlement.release() }
    }

    // MARK: Answers

    func received(_ reply: RedisReply, on index: Int) throws(RedisFailure) {
        if index == 0 { try receivedByReader(reply) } else { try receivedByTeller(reply) }
    }

    private func receivedByReader(_ reply: RedisReply) throws(RedisFailure) {
        if readerAsked {
            readerAsked = false
            readerID = reply.integer.map(String.init)
            return
        }
        guard reading > 0 else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        reading = 0
        readFrom = Monotonic.now + Self.readPause
        if let failure = reply.failure {
            guard failure.isGone else { throw failure }
            return rebuild(failure)
        }
        guard !reply.isNone else { return }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 1)
        try cursor.array(of: 2)
        try cursor.skip()
        for _ in 0..<(try cursor.array()) {
            if let entry = try StreamEntry.read(&cursor) { take(entry, attempt: 1) }
        }
    }

    private func take(_ entry: StreamEntry, attempt: Int) {
        if let target = entry.target, target != group.name {
            acknowledgements.append(entry.id)
            return
        }
        nextTicket += 1
        holdings[nextTicket] = Holding(id: entry.id, attempt: attempt)
        let settlement = GroupSettlement(subscription: self, ticket: nextTicket)
        if isDraining {
            settlements(release: nextTicket)
            return
        }
        incoming.append(
            ReceivedEnvelope(envelope: entry.envelope, attempt: attempt, position: entry.id.description, settlement: settlement))
    }

    private func settlements(release ticket: UInt64) {
        settlings.append(Settling(ticket: ticket, action: .release, call: nil))
    }

    func receivedAll() throws(RedisFailure) {
        guard !incoming.isEmpty else { return }
        desk.put(incoming)
        incoming.removeAll(keepingCapacity: true)
    }

    private func receivedByTeller(_ reply: RedisReply) throws(RedisFailure) {
        guard let (question, _) = questions.popFirst() else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        let failure = reply.failure
        if let failure, failure.isUnavailable || failure.moved != nil { return try giveUp(question, failure) }
        switch question {
        case .unblock, .trim: break
        case .acknowledge: if let failure, !failure.isGone { return try giveUp(question, failure) }
        case .ensure: try ensured(reply)
        case .ours: try checked(question, reply)
        case .giveBack(let all): givenBack(all, failure)
        case .bury(let settling, let holding): buried(settling, holding, failure)
        case .tick(_, let asked): try ticked(reply, asked)
        case .leave: hasLeft = true
        }
    }

    /// Puts the question back, so that it is asked on the next connection.
    private func giveUp(_ question: Question, _ failure: RedisFailure) throws(RedisFailure) {
        var all = FIFO<(question: Question, at: UInt64)>()
        all.append((question, Monotonic.now))
        while let next = questions.popFirst() { all.append(next) }
        questions = all
        throw failure
    }

    private func ensured(_ reply: RedisReply) throws(RedisFailure) {
        if let failure = reply.failure {
            guard !failure.isRefused, failure.binderError.code != .conflict else {
                stage = .failed
                if failure.isRefused { throw failure }
                return desk.fail(failure.binderError)
            }
            throw failure
        }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 2)
        let isNew = try cursor.integer() == 1
        let mayLack = try cursor.integer() == 1
        isKnown = true
        missed = missed || (isNew && mayLack)
        stage = .checking
        nextTick = 0
        if wasReady { askForOurs(from: .zero, idle: 0) } else { serve() }
    }

    private func checked(_ question: Question, _ reply: RedisReply) throws(RedisFailure) {
        guard case .ours = question else { return }
        if let failure = reply.failure {
            guard failure.isGone else { throw failure }
            return rebuild(failure)
        }
        var cursor = ReplyCursor(reply)
        let count = try cursor.array()
        let held = Set(holdings.values.map(\.id))
        let now = Monotonic.now
        var last = StreamID.zero
        for _ in 0..<count {
            try cursor.array(of: 4)
            last = try cursor.id()
            for _ in 0..<3 { try cursor.skip() }
            if !held.contains(last), stray[last] == nil, !isUnderWay(last) { stray[last] = now }
        }
        if count >= 1000 {
            askForOurs(from: StreamID(last.milliseconds, last.number &+ 1), idle: 0)
        } else if stage == .checking {
            serve()
        }
    }

    /// Whether the server will be told, or was and has not answered, that we no longer have the entry.
    private func isUnderWay(_ id: StreamID) -> Bool {
        if acknowledgements.contains(id) { return true }
        for offset in 0..<questions.count {
            switch questions[offset]?.question {
            case .acknowledge(let ids)?: if ids.contains(id) { return true }
            case .giveBack(let all)?: if all.contains(where: { $0.holding.id == id }) { return true }
            case .bury(_, let holding)?: if holding.id == id { return true }
            case .tick(_, let asked)?: if asked.contains(id) { return true }
            default: break
            }
        }
        return false
    }

    private func serve() {
        stage = .serving
        guard !isDraining else { return }
        if !wasReady {
            wasReady = true
            options.events(.ready)
            if missed { options.events(.gap) }
        } else {
            options.events(missed ? .gap : .resumed)
        }
        missed = false
        desk.ready()
    }

    private func givenBack(_ all: [(settling: Settling, holding: Holding)], _ failure: RedisFailure?) {
        for (settling, holding) in all {
            guard let failure else {
                settling.call?.answer(.success(RedisReply()))
                continue
            }
            settling.call?.answer(.failure(failure.binderError))
            // It is still ours: without the server's list of retries we keep the time ourselves.
            if case .retry(let delay) = settling.action, !failure.isGone { stray[holding.id] = Monotonic.now + UInt64(delay) * 1_000_000 }
        }
    }

    private func buried(_ settling: Settling, _ holding: Holding, _ failure: RedisFailure?) {
        guard let failure else {
            metrics.count(
                "carillon_dead_letters_total", ["destination": destination.name],
                help: "Rejected deliveries that were kept as dead letters.")
            settling.call?.answer(.success(RedisReply()))
            return
        }
        settling.call?.answer(.failure(failure.binderError))
        if !failure.isGone { stray[holding.id] = Monotonic.now + Self.pause }
    }

    private func ticked(_ reply: RedisReply, _ asked: [StreamID]) throws(RedisFailure) {
        isTicking = false
        claiming = 0
        if let failure = reply.failure {
            for id in asked { stray[id] = Monotonic.now }
            guard failure.isGone || failure.isBlocked else { throw failure }
            if failure.isGone { rebuild(failure) }
            return
        }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 3)
        let next = try cursor.integer()
        let lost = try cursor.integer()
        for _ in 0..<(try cursor.array()) {
            try cursor.array(of: 3)
            let id = try cursor.id()
            let attempt = Int(clamping: try cursor.integer())
            let entry = try EntryFields.read(&cursor, try cursor.array(), id: id)
            take(entry, attempt: attempt)
        }
        if lost > 0 {
            log.warning(
                "events that waited for a retry were deleted from their stream", ["destination": destination.name, "count": "\(lost)"])
        }
        if next >= 0 {
            // What is due and found no room here is looked for again when there is some, or by another member.
            if next == 0, !hasRoom { isDue = true } else { nextTick = min(nextTick, Monotonic.now + UInt64(next) * 1_000_000) }
        }
    }

    // MARK: The end

    func mayEnd() throws(RedisFailure) -> Bool {
        if !isDraining { startDraining() }
        guard teller != nil, stage == .serving else { return true }
        if hasLeft { return true }
        if reading > 0, let readerID, !isUnblocking {
            // The wait for entries must be over on the server too: it would hand the next one to a member that is no more.
            isUnblocking = true
            ask(RedisCommand("CLIENT", "UNBLOCK", readerID), .unblock)
        }
        guard reading == 0, settlings.isEmpty, acknowledgements.isEmpty, questions.isEmpty else { return false }
        let hasMore = inbox.withLock { !$0.accepted.isEmpty || !$0.settlings.isEmpty }
        if !hasMore {
            isLeaving = true
            ask(Scripts.leave(keys, group: group.name, member: member), .leave)
        }
        return false
    }

    func ended() {
        reader = nil
        teller = nil
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.settlings = [] }
            return inbox.settlings
        }
        for settling in settlings + late { settling.call?.answer(.failure(Self.ended)) }
        while let (question, _) = questions.popFirst() {
            switch question {
            case .giveBack(let all): for one in all { one.settling.call?.answer(.failure(Self.ended)) }
            case .bury(let settling, _): settling.call?.answer(.failure(Self.ended))
            default: break
            }
        }
        settlings = []
        holdings = [:]
        desk.close()
    }
}
