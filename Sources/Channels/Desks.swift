internal import Lifecycle
internal import Locking
internal import Streams
internal import Telemetry

/// All desks of a server, each with its subscription as a child of `run`.
final class Desks: Sendable {
    private struct State {
        var desks: [Desk.Key: Desk] = [:]
        var byNumber: [UInt64: Desk] = [:]
        var lastNumber: UInt64 = 0
        var isOpen = false
        /// Desks to be started, and who waits for them.
        var fresh: [Desk] = []
        var starter: CheckedContinuation<Void, Never>?
    }
    private let binder: any Binder
    private let settings: ChannelSettings
    private let log: Log
    private let state = Locked(State())

    init(binder: any Binder, settings: ChannelSettings, log: Log) {
        self.binder = binder
        self.settings = settings
        self.log = log
    }

    var count: Int { state.withLock { $0.desks.count } }
    var leases: Int { state.withLock { Array($0.desks.values) }.reduce(0) { $0 + $1.leaseCount } }

    func run(_ life: ServiceLife) async {
        state.withLock { $0.isOpen = true }
        life.started()
        await withDiscardingTaskGroup { group in
            let ending = Task.isCancelled
            group.addTask { [self] in
                if !ending { await life.untilShutdown() }
                let desks = state.withLock { state in
                    state.isOpen = false
                    return Array(state.desks.values)
                }
                for desk in desks {
                    desk.close(ChannelError(503, "closed", "the server is ending; pull from it again when it is back", retryAfter: 1))
                }
                wake()
            }
            while let fresh = await next() {
                for desk in fresh {
                    group.addTask { [self] in
                        await desk.run(binder)
                        forget(desk)
                    }
                }
            }
        }
    }

    /// The desk of a member, opened for pulls of `most` if there is none.
    func desk(_ key: Desk.Key, most: Int) throws -> Desk {
        let (found, starter) = try state.withLock { state -> (Desk, CheckedContinuation<Void, Never>?) in
            guard state.isOpen else {
                throw ChannelError(503, "closed", "the server is starting or ending; pull again in a moment", retryAfter: 1)
            }
            if let desk = state.desks[key], !desk.isClosed { return (desk, nil) }
            guard state.desks.count < settings.members else {
                throw ChannelError(
                    429, "tooMany", "\(settings.members) members pull here, which is the bound of this server", retryAfter: 5)
            }
            state.lastNumber += 1
            let desk = Desk(
                key: key, number: state.lastNumber, most: most, onDemand: binder.capabilities.contains(.onDemand), settings: settings)
            state.desks[key] = desk
            state.byNumber[desk.number] = desk
            state.fresh.append(desk)
            defer { state.starter = nil }
            return (desk, state.starter)
        }
        starter?.resume()
        return found
    }

    /// The desk that a token came from, if it is still there and of that group.
    func desk(of token: String, _ destination: Destination, _ group: ConsumerGroup) -> Desk? {
        guard let number = token.split(separator: ".").first.flatMap({ UInt64($0) }) else { return nil }
        guard let desk = state.withLock({ $0.byNumber[number] }), desk.key.destination == destination, desk.key.group == group else {
            return nil
        }
        return desk
    }

    /// Ends the desk of a member, if there is one.
    func leave(_ key: Desk.Key) -> Bool {
        guard let desk = state.withLock({ $0.desks[key] }) else { return false }
        desk.close()
        return true
    }

    private func forget(_ desk: Desk) {
        state.withLock { state in
            if state.desks[desk.key] === desk { state.desks[desk.key] = nil }
            state.byNumber[desk.number] = nil
        }
    }

    /// Waits for desks to start; nil when there will be none any more.
    private func next() async -> [Desk]? {
        while true {
            let (fresh, isOpen) = state.withLock { state in
                defer { state.fresh = [] }
                return (state.fresh, state.isOpen)
            }
            if !fresh.isEmpty { return fresh }
            if !isOpen { return nil }
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if !state.fresh.isEmpty || !state.isOpen { return true }
                    state.starter = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        }
    }

    private func wake() {
        state.withLock { state in
            defer { state.starter = nil }
            return state.starter
        }?.resume()
    }
}
