import CPosix
import Glibc
import Lifecycle
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
    /// Does what other threads asked for; `connection` is nil while there is none. Returns whether there was something to do. Nothing may be
    /// put off when it is `ending`.
    func work(_ connection: AMQPConnection?, ending: Bool) throws(AMQPFailure) -> Bool
    /// On the monotonic clock, when `work` has something to do that it has put off.
    var wakeAt: UInt64? { get }
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
    /// Whether the socket may have something; asking it costs two calls to the system.
    private var readable = false
    /// When the library must be called in any case, because it sends heartbeats and notices missing ones.
    private var nextCare: UInt64 = 0

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
            var busy = try role.work(connection, ending: ending)
            if ending { return finish() }
            if connection == nil, Monotonic.now >= nextAttempt {
                try connect()
                busy = true
            }
            if let connection {
                if readable || Monotonic.now >= nextCare, try receive(on: connection) { busy = true }
                try connection.flush()
            }
            wait(blocking: !busy)
        } catch {
            lose(error)
        }
    }

    /// Hands on what has come; returns whether there was something.
    private func receive(on connection: AMQPConnection) throws(AMQPFailure) -> Bool {
        let most = 512
        let frames = try connection.receive(most: most) { event throws(AMQPFailure) in try role.received(event, on: connection) }
        readable = frames >= most
        nextCare = Monotonic.now + care
        if frames > 0 { try role.receivedAll(on: connection) }
        return frames > 0
    }

    private var care: UInt64 { max(100_000_000, configuration.heartbeat.nanoseconds / 4) }

    private func connect() throws(AMQPFailure) {
        let address = configuration.addresses[nextAddress % configuration.addresses.count]
        nextAddress += 1
        let fresh = try AMQPConnection(configuration, address: address, purpose: role.purpose, socket: socket)
        do throws(AMQPFailure) { try role.connected(fresh) } catch {
            if error.cause != .connection { fresh.close() }
            throw error
        }
        connection = fresh
        readable = true
        connectedAt = Monotonic.now
        connections.wrappingAdd(1, ordering: .relaxed)
        log.debug("connected to RabbitMQ", ["address": "\(address)", "connection": role.purpose])
    }

    private func lose(_ failure: AMQPFailure) {
        let had = connection != nil
        if case .reply = failure.cause { connection?.close() } else if failure.cause == .cancelled { connection?.close() }
        connection = nil
        readable = false
        // A connection that stood for a while starts a new row of pauses; one that breaks at once does not.
        if had, Monotonic.now - connectedAt > 5_000_000_000 { backOff.reset() }
        var pause = backOff.next()
        if failure.isRefused { pause = max(pause, configuration.refusedBackOff) }
        if had, failure.isGone, Monotonic.now - connectedAt > 1_000_000_000 { pause = .zero }
        nextAttempt = Monotonic.now + pause.nanoseconds
        role.lost(failure)
        log.warning(
            had ? "connection to RabbitMQ lost" : "cannot connect to RabbitMQ",
            ["connection": role.purpose, "reason": failure.text, "next-attempt": "\(pause.milliseconds) ms"])
    }

    /// Waits for the socket, a call, or the moment of something put off; without `blocking` it only looks whether the socket has something.
    private func wait(blocking: Bool) {
        let sleeps = blocking && !readable && role.wakeUp.maySleep()
        if readable, !sleeps { return }
        var limit = 0
        if sleeps {
            limit = role.hasDeadlines ? 100 : 1000
            if let moment = role.wakeAt { limit = min(limit, Self.milliseconds(until: moment)) }
            limit = min(limit, Self.milliseconds(until: connection == nil ? nextAttempt : nextCare))
        }
        let none = pollfd(fd: -1, events: 0, revents: 0)
        let socket = connection.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) } ?? none
        var descriptors = (sleeps ? pollfd(fd: role.wakeUp.descriptor, events: Int16(POLLIN), revents: 0) : none, socket)
        _ = withUnsafeMutableBytes(of: &descriptors) { poll($0.bindMemory(to: pollfd.self).baseAddress, 2, Int32(limit)) }
        if descriptors.0.revents != 0 { role.wakeUp.clear() }
        if descriptors.1.revents != 0 { readable = true }
    }

    /// Rounded up, so that the moment has come when the wait ends.
    private static func milliseconds(until moment: UInt64) -> Int {
        let now = Monotonic.now
        return moment > now ? Int(min((moment - now + 999_999) / 1_000_000, 1000)) : 0
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
