import CRabbitMQ
import Locking
import Streams
import Telemetry
import ThreadExecutor

/// The publishing connection's role: sends, keeps many publishes in flight, and answers each with the broker's confirm.
final class Publisher: ConnectionRole, @unchecked Sendable {  // what is not in a lock is touched on the connection's thread only
    private struct Inbox {
        var arrived: [PendingPublish] = []
        var held = 0
        var closed = false
        var readiness = Readiness.waiting("not connected to RabbitMQ yet")
    }
    private struct Flight {
        var publish: PendingPublish
        /// What the broker said when it gave the message back.
        var returned: String?
    }
    let purpose = "publish"
    private let configuration: RabbitMQConfiguration
    private let log: Log
    private let metrics: Metrics
    private let inbox = Locked(Inbox())
    let wakeUp = WakeUp()

    // The thread's own.
    private var waiting = FIFO<PendingPublish>()
    private var flights = FIFO<Flight?>()
    private var firstTag: UInt64 = 1
    private var open = 0  // flights without their confirm
    private var blocked: String?
    private var declared: [Declaration: UInt64] = [:]
    private var admin: AMQPConnection?
    private var lastFailure: AMQPFailure?
    private var nextExpiry: UInt64 = 0

    init(_ configuration: RabbitMQConfiguration, log: Log, metrics: Metrics) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
    }

    var readiness: Readiness { inbox.withLock { $0.readiness } }

    /// Publishes and calls that were not answered yet.
    var held: Int { inbox.withLock { $0.held } }

    /// Waits for the connection, for the declaration if there is one, and for the broker's confirm.
    func send(_ message: OutgoingMessage?, declaring declaration: Declaration?) async throws(BinderError) {
        let pending = PendingPublish(message, declaration: declaration, limit: configuration.publishLimit)
        let (refusal, first) = inbox.withLock { inbox -> (BinderError?, Bool) in
            if inbox.closed { return (BinderError(.closed, "the RabbitMQ binder is closed"), false) }
            if inbox.held >= configuration.waiting + configuration.inFlight {
                return (BinderError(.blocked, "\(inbox.held) publishes wait for RabbitMQ already"), false)
            }
            inbox.held += 1
            inbox.arrived.append(pending)
            return (nil, inbox.arrived.count == 1)
        }
        if let refusal { throw refusal }
        if first { wakeUp.call() }
        defer { inbox.withLock { $0.held -= 1 } }
        try await pending.wait()
    }

    // MARK: On the connection's thread

    var hasDeadlines: Bool { !waiting.isEmpty || open > 0 }

    func connected(_ connection: AMQPConnection) throws(AMQPFailure) {
        try connection.selectConfirms()
        firstTag = 1
        declared = [:]
        blocked = nil
        lastFailure = nil
        inbox.withLock { $0.readiness = .ready }
    }

    var wakeAt: UInt64? { nil }

    func work(_ connection: AMQPConnection?, ending: Bool) throws(AMQPFailure) -> Bool {
        let arrived = inbox.withLock { inbox in
            let arrived = inbox.arrived
            inbox.arrived = []
            return arrived
        }
        waiting.append(contentsOf: arrived)
        expire()
        guard let connection, blocked == nil else { return false }
        defer {
            admin?.close()
            admin = nil
        }
        var sent = 0
        // Few enough for one turn that confirms are read in between.
        while sent < 128, open < configuration.inFlight, let next = waiting.popFirst() {
            sent += 1
            if next.isAnswered { continue }
            do throws(BinderError) {
                try declare(next, at: connection.address)
            } catch {
                next.answer(error)
                continue
            }
            guard let message = next.message else {
                next.answer(nil)
                continue
            }
            guard var properties = properties(of: message, on: connection) else {
                connection.arena.recycle()
                next.answer(BinderError(.tooLarge, "the headers do not fit in a frame of \(connection.frameMax) bytes"))
                continue
            }
            flights.append(Flight(publish: next))
            open += 1
            defer { connection.arena.recycle() }
            try connection.publish(
                exchange: message.exchange, routingKey: message.routingKey, mandatory: message.mandatory, properties: &properties,
                body: message.body)
        }
        return sent > 0
    }

    private func properties(of message: OutgoingMessage, on connection: AMQPConnection) -> amqp_basic_properties_t? {
        let room = connection.frameMax - 2048  // for the other properties and the frame itself
        switch message.properties {
        case .new(let envelope):
            if !envelope.headers.isEmpty {
                guard HeaderValue.table(envelope.headers).encodedSize + (envelope.key?.utf8.count ?? 0) < room else { return nil }
            }
            return MessageProperties.write(envelope, in: connection.arena)
        case .copy(let raw, let changes, let withoutTimestamp, let record):
            let added = changes.reduce(0) { $0 + 1 + $1.name.utf8.count + ($1.value?.encodedSize ?? 0) }
            guard raw.count + added < room else { return nil }
            return MessageProperties.copy(
                raw, changes: changes, withoutTimestamp: withoutTimestamp, record: record, in: connection.arena)
        }
    }

    /// On a short connection of its own: a declaration that the broker refuses closes its channel, which must not take publishes with it.
    private func declare(_ pending: PendingPublish, at address: RabbitMQConfiguration.Address) throws(BinderError) {
        guard let declaration = pending.declaration else { return }
        let now = Monotonic.now
        if pending.message != nil, let until = declared[declaration], until > now { return }
        do throws(AMQPFailure) {
            let connection: AMQPConnection
            if let admin {
                connection = admin
            } else {
                connection = try AMQPConnection(configuration, address: address, purpose: "declare", socket: SocketGuard())
                admin = connection
            }
            try declaration.declare(on: connection)
        } catch {
            if error.cause != .connection { admin?.close() }
            admin = nil
            throw error.binderError
        }
        if declared.count >= 10_000 { declared = [:] }
        declared[declaration] = declaration.lease.map { now + $0.nanoseconds } ?? .max
    }

    func received(_ event: AMQPEvent, on connection: AMQPConnection) throws(AMQPFailure) {
        switch event {
        case .confirmed(let tag, let multiple): settle(tag, multiple: multiple, error: nil)
        case .refused(let tag, let multiple):
            metrics.count("carillon_rabbitmq_refused_total", help: "Publishes that RabbitMQ refused (nack).")
            settle(tag, multiple: multiple, error: BinderError(.rejected, "RabbitMQ refused the event: its queue is full or failed"))
        case .returned(let messageID, let text):
            metrics.count("carillon_rabbitmq_returned_total", help: "Mandatory publishes that reached no queue.")
            for offset in 0..<flights.count {
                guard var flight = flights[offset] ?? nil, flight.returned == nil, flight.publish.message?.messageID == messageID else {
                    continue
                }
                flight.returned = text
                flights[offset] = flight
                break
            }
        case .blocked(let reason):
            blocked = reason
            inbox.withLock { $0.readiness = .waiting("RabbitMQ takes no events for now: \(reason)") }
            log.warning("RabbitMQ blocks publishers", ["reason": reason])
        case .unblocked:
            blocked = nil
            inbox.withLock { $0.readiness = .ready }
            log.info("RabbitMQ takes events again")
        case .delivered: break
        }
    }

    func receivedAll(on connection: AMQPConnection) throws(AMQPFailure) {}

    private func settle(_ tag: UInt64, multiple: Bool, error: BinderError?) {
        guard tag >= firstTag else { return }
        if multiple {
            while firstTag <= tag, let flight = flights.popFirst() {
                firstTag += 1
                if let flight { answer(flight, error) }
            }
        } else if let flight = flights[Int(tag - firstTag)] ?? nil {
            flights[Int(tag - firstTag)] = .some(nil)
            answer(flight, error)
            while let first = flights.first, first == nil {
                _ = flights.popFirst()
                firstTag += 1
            }
        }
    }

    private func answer(_ flight: Flight, _ error: BinderError?) {
        open -= 1
        let unroutable = flight.returned.map {
            BinderError(.unroutable, "no queue takes this event of \(flight.publish.message?.exchange ?? ""): \($0)")
        }
        flight.publish.answer(error ?? unroutable)
    }

    func lost(_ failure: AMQPFailure) {
        lastFailure = failure
        admin = nil
        blocked = nil
        metrics.count("carillon_rabbitmq_lost_total", ["connection": purpose], help: "Connections that were lost or could not be made.")
        inbox.withLock { $0.readiness = .waiting(failure.binderError.message) }
        // An exchange deleted behind our back: what was meant for it went nowhere, and is sent again when it is declared again.
        var again: [PendingPublish] = []
        while let flight = flights.popFirst() {
            guard let flight else { continue }
            if failure.cause == .reply(404), let exchange = flight.publish.message?.exchange, failure.text.contains("'\(exchange)'") {
                again.append(flight.publish)
            } else {
                flight.publish.answer(
                    BinderError(
                        .timedOut, "the connection to RabbitMQ was lost before the confirm; the event may have arrived: \(failure.text)"))
            }
        }
        open = 0
        if !again.isEmpty {
            while let next = waiting.popFirst() { again.append(next) }
            waiting.append(contentsOf: again)
        }
        if failure.isRefused {
            while let next = waiting.popFirst() { next.answer(failure.binderError) }
        }
        expire()
    }

    private func expire() {
        let now = Monotonic.now
        guard now >= nextExpiry else { return }
        nextExpiry = now + 50_000_000
        while let next = waiting.first, next.isAnswered || next.deadline <= now {
            _ = waiting.popFirst()
            if let blocked {
                next.answer(BinderError(.blocked, "RabbitMQ takes no events: \(blocked)"))
            } else if let lastFailure {
                next.answer(lastFailure.binderError)
            } else {
                next.answer(BinderError(.unreachable, "no connection to RabbitMQ within \(configuration.publishLimit)"))
            }
        }
        for offset in 0..<flights.count {
            guard let flight = flights[offset] ?? nil else { continue }
            guard flight.publish.deadline <= now else { break }
            flight.publish.answer(
                BinderError(.timedOut, "no confirm from RabbitMQ within \(configuration.publishLimit); the event may have arrived"))
        }
    }

    func ended() {
        let late = inbox.withLock { inbox in
            inbox.closed = true
            inbox.readiness = .waiting("closed")
            let late = inbox.arrived
            inbox.arrived = []
            return late
        }
        waiting.append(contentsOf: late)
        while let next = waiting.popFirst() { next.answer(BinderError(.closed, "the RabbitMQ binder is closed")) }
        while let flight = flights.popFirst() {
            flight?.publish.answer(BinderError(.timedOut, "closed before RabbitMQ's confirm; the event may have arrived"))
        }
        open = 0
    }
}
