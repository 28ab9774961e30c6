import Locking
import Streams
import Telemetry
import ThreadExecutor

/// The publishing connection's role: sends what many callers ask for in one go, keeps many in flight, and hands each its answer.
final class RedisPublisher: ConnectionRole, @unchecked Sendable {  // what is not in a lock is touched on the connection's thread only
    private struct Inbox {
        var arrived: [PendingCall] = []
        var held = 0
        var closed = false
        var readiness = Readiness.waiting("not connected to Redis yet")
    }
    /// What an answer is for; answers come in the order of the commands.
    private enum Flight {
        case call(PendingCall)
        /// `WAIT`: tells of all events that were added before.
        case replication
        case ping
        case trim
    }
    private struct Sent {
        var flight: Flight
        var at: UInt64
    }
    let purpose = "publish"
    let width = 1
    let wakeUp = WakeUp()
    private let configuration: RedisConfiguration
    private let log: Log
    private let metrics: Metrics
    private let inbox = Locked(Inbox())
    private static let idle: UInt64 = 1_000_000_000
    private static let hold: UInt64 = 1_000_000
    private static let busy = 16
    private static let few = 64
    private static let trimPause: UInt64 = 1_000_000_000

    // The thread's own.
    private var hasAnswered = false
    private var isHolding = false
    private var holdUntil: UInt64 = 0
    private var connection: RedisConnection?
    private var waiting = FIFO<PendingCall>()
    private var flights = FIFO<Sent>()
    /// Added on the server, not known to be on enough replicas.
    private var unreplicated: [(call: PendingCall, reply: RedisReply)] = []
    private var trimmed: [String: UInt64] = [:]
    /// Of the stream that was asked for last: most publishers have one.
    private var lastTrimmed = (stream: "", at: UInt64(0))
    private var lastFailure: RedisFailure?
    private var lastSent: UInt64 = 0
    private var nextExpiry: UInt64 = 0

    init(_ configuration: RedisConfiguration, log: Log, metrics: Metrics) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
    }

    var readiness: Readiness { inbox.withLock { $0.readiness } }

    /// Calls that were not answered yet.
    var held: Int { inbox.withLock { $0.held } }

    /// Waits for the connection and the server's answer, which may be an error of the server.
    func send(_ command: [UInt8], addsTo keys: RedisKeys? = nil) async throws(BinderError) -> RedisReply {
        let pending = PendingCall(command, addsTo: keys, limit: configuration.publishLimit)
        let (refusal, first) = inbox.withLock { inbox -> (BinderError?, Bool) in
            if inbox.closed { return (BinderError(.closed, "the Redis binder is closed"), false) }
            if inbox.held >= configuration.waiting + configuration.inFlight {
                return (BinderError(.blocked, "\(inbox.held) publishes wait for Redis already"), false)
            }
            inbox.held += 1
            inbox.arrived.append(pending)
            return (nil, inbox.arrived.count == 1)
        }
        if let refusal { throw refusal }
        if first { wakeUp.call() }
        defer { inbox.withLock { $0.held -= 1 } }
        return try await pending.wait()
    }

    // MARK: On the connection's thread

    var nextMoment: UInt64 {
        if isHolding { return holdUntil }
        if waiting.isEmpty, flights.isEmpty { return lastSent + Self.idle }
        return Monotonic.now + 100_000_000
    }

    func connected(_ connections: [RedisConnection]) throws(RedisFailure) {
        connection = connections[0]
        lastFailure = nil
        inbox.withLock { $0.readiness = .ready }
    }

    func work(isConnected: Bool) throws(RedisFailure) {
        let now = Monotonic.now
        takeArrived(now)
        expire(now)
        guard isConnected, let connection else {
            if let lastFailure, lastFailure.isRefused { refuseWaiting(lastFailure) }
            return
        }
        if let first = flights.first, now > first.at + configuration.replyLimit.nanoseconds {
            throw RedisFailure(.connection, "\(connection.address) owes an answer for longer than \(configuration.replyLimit)")
        }
        var adds = false
        while flights.count < configuration.inFlight, let next = waiting.popFirst() {
            if next.isAnswered { continue }
            connection.send(next.command)
            flights.append(Sent(flight: .call(next), at: now))
            lastSent = now
            guard let keys = next.addsTo else { continue }
            adds = true
            trim(keys, on: connection, now)
        }
        if adds, configuration.replicas > 0 {
            let limit = max(1, configuration.replyLimit.milliseconds / 2)
            connection.send(RedisCommand("WAIT", String(configuration.replicas), String(limit)).encoded)
            flights.append(Sent(flight: .replication, at: now))
        }
        // A connection that nobody uses may be gone without a word.
        if flights.isEmpty, now >= lastSent + Self.idle {
            connection.send(RedisCommand("PING").encoded)
            flights.append(Sent(flight: .ping, at: now))
            lastSent = now
        }
    }

    /// With many publishes under way, a few new ones wait for the next answers, or a millisecond: their callers are woken together then and
    /// publish together again. One command of the system carries them all.
    private func takeArrived(_ now: UInt64) {
        let mayHold = flights.count >= Self.busy && !hasAnswered && now < holdUntil
        hasAnswered = false
        let arrived = inbox.withLock { inbox -> [PendingCall]? in
            if mayHold, inbox.arrived.count < Self.few { return inbox.arrived.isEmpty ? [] : nil }
            defer { inbox.arrived = [] }
            return inbox.arrived
        }
        isHolding = arrived == nil
        guard let arrived else { return }
        holdUntil = now + Self.hold
        waiting.append(contentsOf: arrived)
    }

    private func trim(_ keys: RedisKeys, on connection: RedisConnection, _ now: UInt64) {
        if keys.stream == lastTrimmed.stream, now <= lastTrimmed.at + Self.trimPause { return }
        guard let last = trimmed[keys.stream] else {
            if trimmed.count >= 10_000 { trimmed = [:] }
            trimmed[keys.stream] = now
            lastTrimmed = (keys.stream, now)
            return
        }
        lastTrimmed = (keys.stream, last)
        guard now > last + Self.trimPause else { return }
        trimmed[keys.stream] = now
        lastTrimmed = (keys.stream, now)
        connection.send(Scripts.trim(keys, configuration).encoded)
        flights.append(Sent(flight: .trim, at: now))
    }

    func received(_ reply: RedisReply, on index: Int) throws(RedisFailure) {
        guard let sent = flights.popFirst() else { throw RedisFailure(.broken, "an answer that nobody asked for") }
        hasAnswered = true
        let failure = reply.failure
        switch sent.flight {
        case .call(let call):
            if configuration.replicas > 0, call.addsTo != nil, failure == nil {
                unreplicated.append((call, reply))
            } else {
                call.answer(.success(reply))
            }
            if let failure { count(failure) }
        case .replication:
            let reached = Int(reply.integer ?? 0)
            for (call, reply) in unreplicated {
                if reached >= configuration.replicas {
                    call.answer(.success(reply))
                } else {
                    call.fail(.timedOut, "the event is in Redis, but only \(reached) of \(configuration.replicas) replicas have it")
                }
            }
            unreplicated = []
        case .ping: break
        case .trim:
            if let failure, !failure.isGone { log.debug("a stream could not be trimmed", ["reason": failure.text]) }
        }
        // A server that became a replica or starts anew: another connection may be better.
        if let failure, failure.isUnavailable || failure.isRefused && failure.text.hasPrefix("NOAUTH") { throw failure }
    }

    private func count(_ failure: RedisFailure) {
        metrics.count("carillon_redis_refused_total", help: "Calls that Redis answered with an error.")
        if failure.isBlocked { log.warning("Redis takes no events for now", ["reason": failure.text]) }
    }

    func receivedAll() throws(RedisFailure) {}

    func lost(_ failure: RedisFailure) {
        connection = nil
        lastFailure = failure
        metrics.count("carillon_redis_lost_total", ["connection": purpose], help: "Connections that were lost or could not be made.")
        inbox.withLock { $0.readiness = .waiting(failure.binderError.message) }
        let text = "the connection to Redis was lost before its answer; the event may have arrived: \(failure.text)"
        while let sent = flights.popFirst() {
            if case .call(let call) = sent.flight { call.fail(.timedOut, text) }
        }
        for (call, _) in unreplicated { call.fail(.timedOut, text) }
        unreplicated = []
        if failure.isRefused { refuseWaiting(failure) }
    }

    /// Credentials do not become better by waiting.
    private func refuseWaiting(_ failure: RedisFailure) {
        while let next = waiting.popFirst() { next.answer(.failure(failure.binderError)) }
    }

    private func expire(_ now: UInt64) {
        guard now >= nextExpiry else { return }
        nextExpiry = now + 50_000_000
        while let next = waiting.first, next.isAnswered || next.deadline <= now {
            _ = waiting.popFirst()
            if let lastFailure {
                next.answer(.failure(lastFailure.binderError))
            } else {
                next.fail(.unreachable, "no connection to Redis within \(configuration.publishLimit)")
            }
        }
        for offset in 0..<flights.count {
            guard case .call(let call)? = flights[offset]?.flight else { continue }
            guard call.deadline <= now else { break }
            call.fail(.timedOut, "no answer from Redis within \(configuration.publishLimit); the event may have arrived")
        }
    }

    func mayEnd() throws(RedisFailure) -> Bool { waiting.isEmpty && flights.isEmpty }

    func ended() {
        connection = nil
        let late = inbox.withLock { inbox in
            inbox.closed = true
            inbox.readiness = .waiting("closed")
            let late = inbox.arrived
            inbox.arrived = []
            return late
        }
        waiting.append(contentsOf: late)
        while let next = waiting.popFirst() { next.fail(.closed, "the Redis binder is closed") }
        while let sent = flights.popFirst() {
            if case .call(let call) = sent.flight { call.fail(.timedOut, "closed before Redis's answer; the event may have arrived") }
        }
        for (call, _) in unreplicated { call.fail(.timedOut, "closed before enough replicas had the event") }
        unreplicated = []
    }
}
