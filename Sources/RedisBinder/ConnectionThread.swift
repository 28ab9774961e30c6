import Glibc
import Lifecycle
import Locking
import Streams
import Synchronization
import Telemetry
import ThreadExecutor

/// What connections are for. Every call comes on their thread.
protocol ConnectionRole: AnyObject, Sendable {
    var purpose: String { get }
    /// How many connections it works with, to the same server.
    var width: Int { get }
    /// Called when there is work for the thread.
    var wakeUp: WakeUp { get }
    /// Fresh connections, greeted.
    func connected(_ connections: [RedisConnection]) throws(RedisFailure)
    /// The next answer on the connection of that index.
    func received(_ reply: RedisReply, on index: Int) throws(RedisFailure)
    /// After all that had come was handed to `received`.
    func receivedAll() throws(RedisFailure)
    /// Does what other threads asked for and what is due; `isConnected` says whether commands can be sent.
    func work(isConnected: Bool) throws(RedisFailure)
    /// When `work` is to be called at the latest, on the monotonic clock.
    var nextMoment: UInt64 { get }
    /// The connections were lost or could not be made.
    func lost(_ failure: RedisFailure)
    /// The end was asked for: whether nothing is left to be told to the server. Called in every turn until it is so or time is over.
    func mayEnd() throws(RedisFailure) -> Bool
    /// No more calls will come.
    func ended()
}

/// The thread of a role's connections: connects, serves the role, connects again after a pause, until `end()`.
///
/// It is the parking of a `ThreadExecutor`: each `park()` is one turn, which ends in `poll` on the sockets and a wake-up descriptor.
final class ConnectionThread: Parking, @unchecked Sendable {  // what is not in a lock or atomic is touched on the executor's thread only
    private struct Control {
        var executor: ThreadExecutor?
        /// Until when what is left may be told to the server; nil while the end was not asked for.
        var endLimit: UInt64?
        var ended = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let configuration: RedisConfiguration
    private let role: any ConnectionRole
    private let log: Log
    private let control = Locked(Control())
    private let connectionsMade = Atomic<Int>(0)
    private static let endLimit: UInt64 = 3_000_000_000

    // The thread's own.
    private var connections: [RedisConnection] = []
    private var nextAttempt: UInt64 = 0
    private var nextAddress = 0
    /// Where the cluster said that the role's keys live.
    private var movedTo: RedisConfiguration.Address?
    private var backOff: BackOff
    private var connectedAt: UInt64 = 0

    init(_ configuration: RedisConfiguration, role: any ConnectionRole, log: Log) {
        self.configuration = configuration
        self.role = role
        self.log = log
        backOff = BackOff(first: configuration.backOff, longest: configuration.longestBackOff)
    }

    /// Starts the thread; once.
    func start() {
        let executor = ThreadExecutor(name: "redis-\(role.purpose)", parking: self)
        control.withLock { $0.executor = executor }
    }

    /// Asks the thread to tell the server what is left, close the connections and end, and waits until it has. Only waits when called again.
    func end() async {
        await withCheckedContinuation { continuation in
            let done = control.withLock { control in
                if control.ended || control.executor == nil {
                    control.ended = true
                    return true
                }
                control.endLimit = control.endLimit ?? Monotonic.now + Self.endLimit
                control.waiters.append(continuation)
                return false
            }
            if done { continuation.resume() } else { wake() }
        }
    }

    /// How many connections were made so far.
    var connectionCount: Int { connectionsMade.load(ordering: .relaxed) }

    func wake() { role.wakeUp.call() }

    func park() {
        role.wakeUp.beginTurn()
        do throws(RedisFailure) {
            // Asked before the work is done: what was handed over before the end was asked for must still be told to the server.
            let endLimit = control.withLock { $0.endLimit }
            try role.work(isConnected: !connections.isEmpty)
            if let endLimit {
                let mayEnd = try role.mayEnd()
                if connections.isEmpty || mayEnd || Monotonic.now > endLimit { return finish() }
            } else if connections.isEmpty, Monotonic.now >= nextAttempt {
                try connect()
            }
            for connection in connections { try connection.flush() }
            if try receive() == 0 { wait() }
        } catch {
            lose(error)
        }
    }

    private func receive() throws(RedisFailure) -> Int {
        var answers = 0
        for (index, connection) in connections.enumerated() {
            answers += try connection.receive { reply throws(RedisFailure) in try role.received(reply, on: index) }
        }
        if answers > 0 { try role.receivedAll() }
        return answers
    }

    private func connect() throws(RedisFailure) {
        let address = movedTo ?? configuration.addresses[nextAddress % configuration.addresses.count]
        if movedTo == nil { nextAddress += 1 }
        movedTo = nil
        var fresh: [RedisConnection] = []
        for _ in 0..<role.width {
            fresh.append(
                try RedisConnection(
                    configuration, address: address, purpose: role.purpose,
                    isWanted: { control.withLock { $0.endLimit == nil } }))
        }
        connections = fresh
        connectedAt = Monotonic.now
        try role.connected(fresh)
        connectionsMade.wrappingAdd(fresh.count, ordering: .relaxed)
        log.debug("connected to Redis", ["address": "\(address)", "connection": role.purpose])
    }

    private func lose(_ failure: RedisFailure) {
        let had = !connections.isEmpty
        connections = []
        guard failure.cause != .ended else { return }
        let now = Monotonic.now
        // Connections that stood for a while start a new row of pauses; those that break at once do not.
        if had, now - connectedAt > 5_000_000_000 { backOff.reset() }
        var pause = backOff.next()
        if failure.isRefused { pause = max(pause, configuration.refusedBackOff) }
        if let moved = failure.moved {
            movedTo = moved
            pause = min(pause, .milliseconds(100))
        }
        nextAttempt = now + pause.nanoseconds
        role.lost(failure)
        log.warning(
            had ? "connection to Redis lost" : "cannot connect to Redis",
            ["connection": role.purpose, "reason": failure.text, "next-attempt": "\(pause.milliseconds) ms"])
    }

    private func wait() {
        guard role.wakeUp.maySleep() else { return }
        var descriptors = [pollfd(fd: role.wakeUp.descriptor, events: Int16(POLLIN), revents: 0)]
        for connection in connections {
            let events = Int16(POLLIN) | (connection.wantsToSend ? Int16(POLLOUT) : 0)
            descriptors.append(pollfd(fd: connection.descriptor, events: events, revents: 0))
        }
        let now = Monotonic.now
        var moment = role.nextMoment
        if connections.isEmpty { moment = min(moment, nextAttempt) }
        let limit = moment <= now ? 0 : min(1000, (moment - now) / 1_000_000 + 1)
        _ = poll(&descriptors, nfds_t(descriptors.count), Int32(limit))
        if descriptors[0].revents != 0 { role.wakeUp.clear() }
    }

    private func finish() {
        connections = []
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
