import Locking
import Streams
import Telemetry
import ThreadExecutor

/// A subscription that gets every event: it reads the stream by itself from its own position, which the server knows nothing of, and goes on from
/// there on the next connection.
///
/// What is not in a lock is touched on the connection's thread only.
final class BroadcastSubscription: ConnectionRole, DeliverySource, @unchecked Sendable {
    private struct Inbox {
        var settled: [(ticket: UInt64, outcome: DeliveryOutcome)] = []
        var isClosed = false
        var drainAsked = false
    }
    private struct Holding {
        var entry: StreamEntry
        var attempt: Int
    }
    private enum Question { case information, entries }

    let purpose: String
    let width = 1
    let wakeUp = WakeUp()
    let destination: Destination
    let desk: DeliveryDesk
    private let options: SubscriptionOptions
    private let keys: RedisKeys
    private let configuration: RedisConfiguration
    private let log: Log
    private let metrics: Metrics
    private let inbox = Locked(Inbox())
    private static let block: UInt64 = 1_000_000_000
    private static let checkPause: UInt64 = 2_000_000_000
    private static let readLimit = 1000

    // The thread's own.
    private var connection: RedisConnection?
    private var position: StreamPosition?
    private var holdings: [UInt64: Holding] = [:]
    private var nextTicket: UInt64 = 0
    /// What is to be handed out again, and when.
    private var again: [(due: UInt64, holding: Holding)] = []
    private var incoming: [ReceivedEnvelope] = []
    private var question: Question?
    private var answerUntil: UInt64 = 0
    private var nextCheck: UInt64 = 0
    private var isPositioned = false
    private var wasReady = false
    private var isDraining = false

    init(
        to destination: Destination, options: SubscriptionOptions, keys: RedisKeys, configuration: RedisConfiguration, log: Log,
        metrics: Metrics
    ) {
        self.destination = destination
        self.options = options
        self.keys = keys
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        purpose = destination.name
        desk = DeliveryDesk(destination, of: "Redis")
    }

    // MARK: For the binder and its callers

    func next() async throws(BinderError) -> ReceivedEnvelope? { try await desk.next() }

    func settle(_ ticket: UInt64, _ outcome: DeliveryOutcome) throws(BinderError) {
        let first = inbox.withLock { inbox -> Bool? in
            if inbox.isClosed { return nil }
            inbox.settled.append((ticket, outcome))
            return inbox.settled.count == 1
        }
        guard let first else { throw BinderError(.closed, "the subscription that brought this delivery has ended") }
        if first { wakeUp.call() }
    }

    func drain() {
        inbox.withLock { $0.drainAsked = true }
        wakeUp.call()
    }

    // MARK: On the connection's thread

    var nextMoment: UInt64 {
        let now = Monotonic.now
        let due = again.map(\.due).min() ?? .max
        return min(due, question == nil ? now + 100_000_000 : now + 1_000_000_000)
    }

    func connected(_ connections: [RedisConnection]) throws(RedisFailure) {
        connection = connections[0]
        question = nil
        isPositioned = false
        ask(RedisCommand("XINFO", "STREAM", keys.stream), .information, within: 0)
    }

    private func ask(_ command: RedisCommand, _ question: Question, within block: UInt64) {
        connection?.send(command.encoded)
        self.question = question
        answerUntil = Monotonic.now + block + configuration.replyLimit.nanoseconds
    }

    func work(isConnected: Bool) throws(RedisFailure) {
        let (settled, drainAsked) = inbox.withLock { inbox in
            defer { inbox.settled.removeAll(keepingCapacity: true) }
            return (inbox.settled, inbox.drainAsked)
        }
        let now = Monotonic.now
        for (ticket, outcome) in settled { finish(ticket, outcome, now) }
        if drainAsked, !isDraining {
            isDraining = true
            _ = desk.drain()
        }
        handOutAgain(now)
        guard isConnected, let connection else { return }
        if question != nil {
            guard now <= answerUntil else {
                throw RedisFailure(.connection, "\(connection.address) owes an answer for longer than \(configuration.replyLimit)")
            }
            return
        }
        guard isPositioned, !isDraining, let position else { return }
        if now >= nextCheck { return ask(RedisCommand("XINFO", "STREAM", keys.stream), .information, within: 0) }
        let free = options.prefetch - holdings.count - again.count
        guard free > 0 else { return }
        ask(
            RedisCommand(
                "XREAD", "COUNT", String(min(free, Self.readLimit)), "BLOCK", String(Self.block / 1_000_000), "STREAMS", keys.stream,
                position.last.description), .entries, within: Self.block)
    }

    private func finish(_ ticket: UInt64, _ outcome: DeliveryOutcome, _ now: UInt64) {
        guard var holding = holdings.removeValue(forKey: ticket) else { return }
        switch outcome {
        case .accept: break
        case .retry(let delay):
            holding.attempt += 1
            again.append((now + delay.nanoseconds, holding))
        case .reject:
            metrics.count(
                "carillon_rejected_dropped_total", ["destination": destination.name], help: "Rejected deliveries that nobody keeps.")
            log.warning(
                "a rejected event is dropped: a subscription without a group keeps no dead letters",
                ["destination": destination.name, "id": holding.entry.envelope.id])
        }
    }

    private func handOutAgain(_ now: UInt64) {
        guard !again.isEmpty, !isDraining else { return }
        let due = again.filter { $0.due <= now }.sorted { $0.due < $1.due }
        guard !due.isEmpty else { return }
        again.removeAll { $0.due <= now }
        desk.put(due.map { delivery($0.holding) })
    }

    private func delivery(_ holding: Holding) -> ReceivedEnvelope {
        nextTicket += 1
        holdings[nextTicket] = holding
        return ReceivedEnvelope(
            envelope: holding.entry.envelope, attempt: holding.attempt, position: holding.entry.id.description,
            settlement: BroadcastSettlement(subscription: self, ticket: nextTicket))
    }

    func received(_ reply: RedisReply, on index: Int) throws(RedisFailure) {
        guard let question else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        self.question = nil
        switch question {
        case .information:
            do throws(RedisFailure) { try informed(try StreamInfo(reply)) } catch {
                guard error.binderError.code == .conflict else { throw error }
                desk.fail(error.binderError)
            }
        case .entries: try read(reply)
        }
    }

    private func informed(_ stream: StreamInfo) throws(RedisFailure) {
        nextCheck = Monotonic.now + Self.checkPause
        guard var position else {
            do throws(BinderError) {
                let (position, gap) = try StreamPosition.start(options.start, in: stream)
                self.position = position
                ready(gap: gap)
            } catch {
                desk.fail(error)
            }
            return
        }
        let missed = position.check(stream)
        self.position = position
        if !isPositioned {
            ready(gap: missed)
        } else if missed {
            options.events(.gap)
        }
    }

    private func ready(gap: Bool) {
        isPositioned = true
        guard !isDraining else { return }
        if wasReady {
            options.events(gap ? .gap : .resumed)
        } else {
            wasReady = true
            options.events(.ready)
            if gap { options.events(.gap) }
        }
        desk.ready()
    }

    private func read(_ reply: RedisReply) throws(RedisFailure) {
        if let failure = reply.failure {
            guard failure.isGone else { throw failure }
            nextCheck = 0
            return
        }
        guard !reply.isNone else { return }
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 1)
        try cursor.array(of: 2)
        try cursor.skip()
        let count = try cursor.array()
        var last: StreamID?
        for _ in 0..<count {
            guard let entry = try StreamEntry.read(&cursor) else { continue }
            last = entry.id
            // Given back to one group: everybody else had it before.
            if entry.target == nil, !isDraining { incoming.append(delivery(Holding(entry: entry, attempt: 1))) }
        }
        if let last { position?.read(count, upTo: last) }
    }

    func receivedAll() throws(RedisFailure) {
        guard !incoming.isEmpty else { return }
        desk.put(incoming)
        incoming.removeAll(keepingCapacity: true)
    }

    func lost(_ failure: RedisFailure) {
        connection = nil
        question = nil
        metrics.count("carillon_redis_lost_total", ["connection": "subscribe"], help: "Connections that were lost or could not be made.")
        // Read and not handed over: the position is behind them already.
        desk.put(incoming)
        incoming = []
        if desk.interrupt(failure.binderError.message) { options.events(.interrupted(failure.binderError.message)) }
    }

    func mayEnd() throws(RedisFailure) -> Bool { true }

    func ended() {
        connection = nil
        inbox.withLock { $0.isClosed = true }
        holdings = [:]
        again = []
        desk.close()
    }
}

/// How one delivery of a broadcast subscription ends: the server knows nothing of it.
struct BroadcastSettlement: DeliverySettlement {
    let subscription: BroadcastSubscription
    let ticket: UInt64

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) { try subscription.settle(ticket, outcome) }
    func abandon() { try? subscription.settle(ticket, .retry(after: .zero)) }
}
