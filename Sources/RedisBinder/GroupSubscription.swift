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
    struct Inbox {
        var accepted: [UInt64] = []
        var settlings: [Settling] = []
        var isClosed = false
        var drainAsked = false
    }
    /// An entry that belongs to this member, delivered or about to be.
    struct Holding {
        var id: StreamID
        var attempt: Int
    }
    enum Question {
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
    enum Stage { case away, ensuring, checking, serving, failed }

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
    let start: String
    let inbox = Locked(Inbox())
    static let pause: UInt64 = 1_000_000_000
    static let hold: UInt64 = 1_000_000
    static let few = 64
    static let readPause: UInt64 = 2_000_000
    static let readLimit = 1000

    // The thread's own.
    var isHolding = false
    var holdUntil: UInt64 = 0
    var reader: RedisConnection?
    var teller: RedisConnection?
    var readerID: String?
    var stage = Stage.away
    var wasReady = false
    /// Known to have been on the server: created again it must not begin at its end.
    var isKnown = false
    /// Whether events may have been missed since the position was last established.
    var missed = false
    var questions = FIFO<(question: Question, at: UInt64)>()
    var holdings: [UInt64: Holding] = [:]
    var nextTicket: UInt64 = 0
    var reading = 0
    var readUntil: UInt64 = 0
    var readFrom: UInt64 = 0
    /// Whether something waits for its retry that found no room here.
    var isDue = false
    var readerAsked = false
    var incoming: [ReceivedEnvelope] = []
    var acknowledgements: [StreamID] = []
    var settlings: [Settling] = []
    /// Entries of this member that must be fetched again, and when: what could not be handed back, what was lost on the way.
    var stray: [StreamID: UInt64] = [:]
    var nextTick: UInt64 = 0
    var nextSweep: UInt64 = 0
    var ensureFrom: UInt64 = 0
    var isTicking = false
    var claiming = 0
    var isDraining = false
    var isUnblocking = false
    var isLeaving = false
    var hasLeft = false

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
        desk = DeliveryDesk(destination, of: "Redis")
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

    static var ended: BinderError {
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

    func ask(_ command: RedisCommand, _ question: Question) {
        guard let teller else { return }
        teller.send(command.encoded)
        questions.append((question, Monotonic.now))
    }

    func ensure() throws(RedisFailure) {
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
        // Read and not handed over: they are in our hands already, and nobody would fetch them again.
        desk.put(incoming)
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

    func again(_ settling: Settling, _ holding: Holding) {
        holdings[settling.ticket] = holding
        settlings.append(settling)
    }

    /// The group, or the stream, is gone: make it again, without haste where that happens again and again.
    func rebuild(_ failure: RedisFailure) {
        guard stage == .serving || stage == .checking else { return }
        stage = .ensuring
        ensureFrom = max(Monotonic.now, ensureFrom + 200_000_000)
        isUnblocking = false
        log.warning(
            "the group is gone from Redis and is created again",
            ["destination": destination.name, "group": group.name, "reason": failure.text])
        if desk.interrupt(failure.text) { options.events(.interrupted(failure.text)) }
    }

    var isEnsuring: Bool {
        for offset in 0..<questions.count { if case .ensure? = questions[offset]?.question { return true } }
        return false
    }
}
