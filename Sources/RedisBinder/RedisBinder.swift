package import Lifecycle
import Locking
package import Streams
package import Telemetry

/// A Redis server (6.2 or later; 7 tells backlogs) as a binder: a stream for each destination, Redis's own groups, a plain read for broadcasts.
///
/// One connection publishes; a member of a group has two of its own, a broadcast subscription one; each subscription has a thread. A lost
/// connection is made again with jittered back-off. `EntryFields` has the form of events in the stream, `RedisKeys` the keys.
///
/// **What a confirmed publish survives** is what the server's own settings say: with `appendonly yes` and `appendfsync always` a crash of
/// the machine, with `everysec` (the default) up to a second may be lost with the machine; without persistence a restart loses all. With
/// `replicas` set, publishes are confirmed only when so many replicas have them (`WAIT`).
package final class RedisBinder: Binder {
    private enum Phase { case fresh, running, draining, closed }
    private enum Member {
        case group(GroupSubscription)
        case broadcast(BroadcastSubscription)

        var role: any ConnectionRole & DeliverySource {
            switch self {
            case .group(let subscription): subscription
            case .broadcast(let subscription): subscription
            }
        }
        var desk: DeliveryDesk {
            switch self {
            case .group(let subscription): subscription.desk
            case .broadcast(let subscription): subscription.desk
            }
        }
        func drain() {
            switch self {
            case .group(let subscription): subscription.drain()
            case .broadcast(let subscription): subscription.drain()
            }
        }
    }
    private struct Line: Sendable {
        let publisher: RedisPublisher
        let thread: ConnectionThread
    }
    private struct State {
        var phase = Phase.fresh
        var next: UInt64 = 0
        var members: [UInt64: (member: Member, thread: ConnectionThread)] = [:]
        /// Where the cluster says that a stream lives; empty without one.
        var routes: [String: RedisConfiguration.Address] = [:]
        var lines: [RedisConfiguration.Address: Line] = [:]
    }
    package let name = "redis"
    /// No order per key among the members of a group, which take from one stream: whoever needs it uses partitions.
    package let capabilities: BinderCapabilities = [
        .durableGroups, .broadcast, .nativePartitions, .nativeDelay, .nativeDeadLetters, .lag, .restartable, .binaryHeaders, .replay,
        .remote, .removable, .credentials,
    ]
    let configuration: RedisConfiguration
    private let log: Log
    private let metrics: Metrics
    private let line: Line
    private let opened = ShutdownSignal()
    private let state = Locked(State())

    package init(configuration: RedisConfiguration, log: Log = .silent, metrics: Metrics = Metrics()) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        let publisher = RedisPublisher(configuration, log: log, metrics: metrics)
        line = Line(publisher: publisher, thread: ConnectionThread(configuration, role: publisher, log: log))
    }

    package var readiness: Readiness {
        let (phase, desks) = state.withLock { ($0.phase, $0.members.values.map(\.member.desk)) }
        guard phase == .running else { return .waiting(phase == .fresh ? "not started" : "closing") }
        guard line.publisher.readiness.isReady else { return line.publisher.readiness }
        return desks.lazy.map(\.readiness).first { !$0.isReady } ?? .ready
    }

    /// How many connections were made since the start, publishing and subscribing.
    package var connectionCount: Int {
        state.withLock { $0.members.values.map(\.thread) }.reduce(line.thread.connectionCount) { $0 + $1.connectionCount }
    }

    package func run(_ life: ServiceLife) async throws {
        guard state.withLock({ $0.phase == .fresh }) else { throw BinderError(.closed, "a binder runs once") }
        state.withLock { $0.phase = .running }
        line.thread.start()
        opened.request()
        life.started()  // an absent server must not keep the rest of the program from starting
        await life.untilShutdown()
        if !Task.isCancelled { await drain() }
        let (members, lines) = state.withLock { state in
            state.phase = .closed
            return (state.members.values.map(\.thread), Array(state.lines.values))
        }
        for thread in members { await thread.end() }
        for line in lines { await line.thread.end() }
        await line.thread.end()
    }

    /// No more deliveries; waits until the subscriptions have ended and all publishes are answered, within the limit.
    private func drain() async {
        let members = state.withLock { state in
            state.phase = .draining
            return state.members.values.map(\.member)
        }
        for member in members { member.drain() }
        let isDrained = await untilDrained(within: configuration.drainLimit) {
            state.withLock { $0.members.isEmpty } && line.publisher.held == 0
        }
        if !isDrained { log.warning("deliveries in hand were not settled in time and go back to Redis") }
    }

    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        guard envelope.payload.count <= configuration.largestPayload else {
            throw BinderError(.tooLarge, "the payload has \(envelope.payload.count) bytes; the limit is \(configuration.largestPayload)")
        }
        guard !envelope.id.isEmpty else { throw BinderError(.invalid, "an event's id must not be empty") }
        let keys = keys(of: destination, partition: try partition(of: envelope, for: destination), group: nil)
        var command = RedisCommand()
        command.reserve(envelope.payload.count + 160 + envelope.headers.count * 32, arguments: 16 + envelope.headers.count * 2)
        command.add("XADD")
        command.add(keys.stream)
        command.add("*")
        EntryFields.write(envelope, to: &command)
        let reply = try await call(command, on: keys, adds: true)
        return PublishReceipt(id: envelope.id, position: reply.text)
    }

    private func partition(of envelope: Envelope, for destination: Destination) throws(BinderError) -> Int? {
        guard let count = configuration.partitions(of: destination) else { return nil }
        return try Partitioner(count: count).partition(of: envelope)
    }

    func keys(of destination: Destination, partition: Int?, group: ConsumerGroup?) -> RedisKeys {
        RedisKeys(destination, partition: partition, group: group, prefix: configuration.prefix)
    }

    /// The keys of each partition, or the only ones.
    func allKeys(of destination: Destination, group: ConsumerGroup?) -> [RedisKeys] {
        guard let count = configuration.partitions(of: destination) else { return [keys(of: destination, partition: nil, group: group)] }
        return (0..<count).map { keys(of: destination, partition: $0, group: group) }
    }

    /// Sends a command that concerns these keys, to the node of the cluster that has them, and returns its answer, which is no error.
    func call(_ command: RedisCommand, on keys: RedisKeys, adds: Bool = false) async throws(BinderError) -> RedisReply {
        let encoded = command.encoded
        var redirections = 0
        while true {
            let reply = try await publisher(for: keys).send(encoded, addsTo: adds ? keys : nil)
            guard let failure = reply.failure else { return reply }
            guard let address = failure.moved, redirections < 5 else { throw failure.binderError }
            redirections += 1
            state.withLock { state in
                if state.routes.count >= 100_000 { state.routes = [:] }
                state.routes[keys.stream] = address
            }
        }
    }

    private func publisher(for keys: RedisKeys) throws(BinderError) -> RedisPublisher {
        try state.withLock { state throws(BinderError) in
            guard let address = state.routes[keys.stream] else { return line.publisher }
            if let line = state.lines[address] { return line.publisher }
            guard state.phase == .running || state.phase == .draining else { throw BinderError(.closed, "the Redis binder is closed") }
            var there = configuration
            there.addresses = [address]
            let publisher = RedisPublisher(there, log: log, metrics: metrics)
            let line = Line(publisher: publisher, thread: ConnectionThread(there, role: publisher, log: log))
            state.lines[address] = line
            line.thread.start()
            return publisher
        }
    }

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        for keys in allKeys(of: destination, group: group) {
            _ = try await call(Scripts.ensure(keys, group: group.name, start: "$", known: false), on: keys)
        }
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        let member = try member(to: destination, group: group, options: options)
        await opened.wait()
        let thread = ConnectionThread(configuration, role: member.role, log: log)
        let id = try state.withLock { state throws(BinderError) in
            guard state.phase == .running else { throw BinderError(.closed, "the Redis binder is closed") }
            state.next += 1
            state.members[state.next] = (member, thread)
            return state.next
        }
        thread.start()
        let result: Result<R, any Error>
        do {
            try await member.desk.positioned()
            var deliveries = Deliveries(member.role)
            result = .success(try await body(&deliveries))
        } catch {
            result = .failure(error)
        }
        await thread.end()
        state.withLock { _ = $0.members.removeValue(forKey: id) }
        return try result.get()
    }

    private func member(to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions) throws(BinderError) -> Member {
        switch (configuration.partitions(of: destination), options.partition) {
        case (let count?, let partition?) where !(0..<count).contains(partition):
            throw BinderError(.invalid, "\(destination) has the partitions 0 to \(count - 1), not \(partition)")
        case (let count?, nil):
            throw BinderError(.invalid, "\(destination) has \(count) partitions: a subscription reads one of them and must name it")
        default: break
        }
        let keys = keys(of: destination, partition: options.partition, group: group)
        guard let group else {
            if case .after(let text) = options.start { _ = try StreamID(position: text) }
            return .broadcast(
                BroadcastSubscription(
                    to: destination, options: options, keys: keys, configuration: configuration, log: log, metrics: metrics))
        }
        let start: String
        switch options.start {
        case .latest: start = "$"
        case .earliest: start = "0"
        case .after(let text): start = try StreamID(position: text).description
        case .time(let time): start = StreamID(UInt64(max(0, time)), 0).before.description
        }
        return .group(
            GroupSubscription(
                to: destination, group: group, options: options, keys: keys, start: start, configuration: configuration, log: log,
                metrics: metrics))
    }
}
