import CPosix
import Glibc
import Locking
import Streams
import Synchronization
import Telemetry
import ThreadExecutor

/// What a connection is for. Every call comes on the connection's thread.
protocol ConnectionRole: AnyObject, Sendable {
    var purpose: String { get }
    /// Called when there is work for the thread.
    var wakeUp: WakeUp { get }
    /// A fresh connection: set the channel up. May wait for the broker's answers.
    func connected(_ connection: AMQPConnection) throws(AMQPFailure)
    func received(_ event: AMQPEvent, on connection: AMQPConnection) throws(AMQPFailure)
    /// After all that had come was handed to `received`.
    func receivedAll(on connection: AMQPConnection) throws(AMQPFailure)
    /// Does what other threads asked for; `connection` is nil while there is none. Returns whether there was something to do.
    func work(_ connection: AMQPConnection?) throws(AMQPFailure) -> Bool
    /// The connection was lost or could not be made.
    func lost(_ failure: AMQPFailure)
    /// Whether something waits for a moment that `work` must notice.
    var hasDeadlines: Bool { get }
    /// No more calls will come.
    func ended()
}

/// The thread of one connection: connects, serves the role, connects again after a pause, until `end()`.
///
/// It is the parking of a `ThreadExecutor`: each `park()` is one turn, which ends in `poll` on the socket and a wake-up descriptor.
final class ConnectionThread: Parking, @unchecked Sendable {  // what is not in a lock or atomic is touched on the executor's thread only
    private struct Control {
        var executor: ThreadExecutor?
        var ending = false
        var ended = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let configuration: RabbitMQConfiguration
    private let role: any ConnectionRole
    private let log: Log
    private let control = Locked(Control())
    private let socket = SocketGuard()
    private let connections = Atomic<Int>(0)

    // The thread's own.
    private var connection: AMQPConnection?
    private var nextAttempt: UInt64 = 0
    private var nextAddress = 0
    private var backOff: BackOff
    private var connectedAt: UInt64 = 0
    private var generator = SystemRandomNumberGenerator()

    init(_ configuration: RabbitMQConfiguration, role: any ConnectionRole, log: Log) {
        self.configuration = configuration
        self.role = role
        self.log = log
        backOff = BackOff(first: configuration.backOff, longest: configuration.longestBackOff)
    }

    /// Starts the thread; once.
    func start() {
        let executor = ThreadExecutor(name: "amqp-\(role.purpose)", parking: self)
        control.withLock { $0.executor = executor }
    }

    /// Asks the thread to close the connection and end, and waits until it has. Only waits when called again.
    func end() async {
        await withCheckedContinuation { continuation in
            let done = control.withLock { control in
                if control.ended || control.executor == nil {
                    control.ended = true
                    return true
                }
                control.ending = true
                control.waiters.append(continuation)
                return false
            }
            if done { continuation.resume() } else { wake() }
        }
    }

    /// Cuts a connection whose thread has hung in one send for longer than a silent peer is borne.
    func cutWhenStuck() {
        if socket.cut(after: configuration.heartbeat * 2) {
            log.warning("a send to RabbitMQ hung; the connection is cut", ["connection": role.purpose])
        }
    }

    /// How many connections were made so far.
    var connectionCount: Int { connections.load(ordering: .relaxed) }

    func wake() { role.wakeUp.call() }

    func park() {
        role.wakeUp.beginTurn()
        do throws(AMQPFailure) {
            // Asked before the work is done: what was handed over before the end was asked for, an acceptance say, must be told to the broker.
            let ending = control.withLock { $0.ending }
            var busy = try role.work(connection)
            if ending { return finish() }
            if connection == nil, Monotonic.now >= nextAttempt {
                try connect()
                busy = true
            }
            if let connection {
                let frames = try connection.receive { event throws(AMQPFailure) in try role.received(event, on: connection) }
                if frames > 0 {
                    try role.receivedAll(on: connection)
                    busy = true
                }
            }
            if !busy { wait() }
        } catch {
            lose(error)
        }
    }

    private func connect() throws(AMQPFailure) {
        let address = configuration.addresses[nextAddress % configuration.addresses.count]
        nextAddress += 1
        let fresh = try AMQPConnection(configuration, address: address, purpose: role.purpose, socket: socket)
        do throws(AMQPFailure) { try role.connected(fresh) } catch {
            if error.cause != .connection { fresh.close() }
            throw error
        }
        connection = fresh
        connectedAt = Monotonic.now
        connections.wrappingAdd(1, ordering: .relaxed)
        log.debug("connected to RabbitMQ", ["address": "\(address)", "connection": role.purpose])
    }

    private func lose(_ failure: AMQPFailure) {
        let had = connection != nil
        if case .reply = failure.cause { connection?.close() } else if failure.cause == .cancelled { connection?.close() }
        connection = nil
        // A connection that stood for a while starts a new row of pauses; one that breaks at once does not.
        if had, Monotonic.now - connectedAt > 5_000_000_000 { backOff.reset() }
        var pause = backOff.next(using: &generator)
        if failure.isRefused { pause = max(pause, configuration.refusedBackOff) }
        if had, failure.isGone, Monotonic.now - connectedAt > 1_000_000_000 { pause = .zero }
        nextAttempt = Monotonic.now + pause.nanoseconds
        role.lost(failure)
        log.warning(
            had ? "connection to RabbitMQ lost" : "cannot connect to RabbitMQ",
            ["connection": role.purpose, "reason": failure.text, "next-attempt": "\(pause.milliseconds) ms"])
    }

    private func wait() {
        guard role.wakeUp.maySleep() else { return }
        var descriptors = [pollfd(fd: role.wakeUp.descriptor, events: Int16(POLLIN), revents: 0)]
        var limit = role.hasDeadlines ? 100 : 1000
        if let connection {
            descriptors.append(pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0))
            limit = min(limit, max(100, configuration.heartbeat.milliseconds / 4))  // heartbeats go out only while frames are read
        } else {
            let now = Monotonic.now
            limit = min(limit, nextAttempt > now ? Int((nextAttempt - now) / 1_000_000) + 1 : 0)
        }
        _ = poll(&descriptors, nfds_t(descriptors.count), Int32(limit))
        if descriptors[0].revents != 0 { role.wakeUp.clear() }
    }

    private func finish() {
        connection?.close()
        connection = nil
        role.ended()
        let (executor, waiters) = control.withLock { control in
            let result = (control.executor, control.waiters)
            control.executor = nil
            control.ended = true
            control.waiters = []
            return result
        }
        executor?.stop()
        for waiter in waiters { waiter.resume() }
    }
}
