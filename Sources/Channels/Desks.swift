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
    }
    private let binder: any Binder
    private let settings: ChannelSettings
    private let log: Log
    private let children = Children()
    private let state = Locked(State())

    init(binder: any Binder, settings: ChannelSettings, log: Log) {
        self.binder = binder
        self.settings = settings
        self.log = log
    }

    var count: Int { state.withLock { $0.desks.count } }
    var leases: Int { state.withLock { Array($0.desks.values) }.reduce(0) { $0 + $1.leaseCount } }

    func run(_ life: ServiceLife) async {
        children.open()
        life.started()
        await children.run(until: life) { [self] in
            for desk in state.withLock({ Array($0.desks.values) }) {
                desk.close(ChannelError(503, "closed", "the server is ending; pull from it again when it is back", retryAfter: 1))
            }
        }
    }

    /// The desk of a member, opened for pulls of `most` if there is none.
    func desk(_ key: Desk.Key, most: Int) throws -> Desk {
        try state.withLock { state -> Desk in
            if let desk = state.desks[key], !desk.isClosed { return desk }
            guard state.desks.count < settings.members else {
                throw ChannelError(
                    429, "tooMany", "\(settings.members) members pull here, which is the bound of this server", retryAfter: 5)
            }
            let desk = Desk(
                key: key, number: state.lastNumber + 1, most: most, onDemand: binder.capabilities.contains(.onDemand),
                settings: settings)
            let isStarted = children.start { [self, desk] in
                await desk.run(binder)
                forget(desk)
            }
            guard isStarted else {
                throw ChannelError(503, "closed", "the server is starting or ending; pull again in a moment", retryAfter: 1)
            }
            state.lastNumber += 1
            state.desks[key] = desk
            state.byNumber[desk.number] = desk
            return desk
        }
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
}
