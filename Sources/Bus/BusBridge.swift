package import Lifecycle
import Locking
package import Streams
package import Telemetry

/// Joins buses of several brokers: what is published on one reaches the instances on all. So a fleet moves from one broker to another, an
/// instance at a time, and no refresh is missed.
///
/// Every message is carried, whatever it is: payload, content type, id, key, time and headers as they came, with one header more,
/// `carillon-hops`, that names the bridges passed and ends loops; peers of Spring pass it over.
///
/// Nothing is lost while a side is away: from each side to each other the bridge reads as a group of its own, `carillon-NAME-SIDE` (SIDE being
/// where it carries to), and accepts a message once the other broker has confirmed it, so that the broker keeps what cannot be carried yet, also
/// while the bridge is not running. Processes with a bridge of the same name share its groups: each message is carried by one of them, and
/// when one ends the others go on. Bridges of different names side by side may carry an event twice, and receivers drop the second by its id.
///
/// A bridge that is taken away for good leaves its groups on the brokers, where they go on keeping events: delete them there (the queue
/// `springCloudBus.carillon-NAME-SIDE` on RabbitMQ, the group of that name on Kafka and Redis).
package final class BusBridge: Service {
    /// A bus on a broker.
    package struct Side: Sendable {
        /// Short and lasting, since it is part of the groups' names: letters, digits, `-`, `_`, `.`.
        package let name: String
        package let binder: any Binder
        package let destination: Destination

        package init(_ name: String, _ binder: any Binder, destination: Destination = EventBus.Configuration().destination) {
            self.name = name
            self.binder = binder
            self.destination = destination
        }
    }

    /// One direction: what comes from side `from` goes to side `to`.
    struct Route: Sendable, Hashable {
        let from: Int
        let to: Int
    }

    struct State {
        var memory: BridgeMemory
        var readiness: [Route: Readiness] = [:]
    }

    package static let defaultName = "bridge"
    let id: String
    let sides: [Side]
    let routes: [Route]
    let groups: [ConsumerGroup]
    let log: Log
    let metrics: Metrics
    let state: Locked<State>

    package var name: String { "bridge \(id)" }

    /// Throws `.invalid` for fewer than two sides, for two of one name, and for names that cannot be part of a group's.
    package init(name: String = defaultName, _ sides: [Side], log: Log = .silent, metrics: Metrics = Metrics()) throws(BinderError) {
        guard sides.count >= 2 else { throw BinderError(.invalid, "the bridge \(name) needs at least two buses to join") }
        for text in [name] + sides.map(\.name) {
            let isPlain = text.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95].contains(byte)
            }
            guard isPlain, (1...60).contains(text.utf8.count) else {
                throw BinderError(
                    .invalid, "a bridge and its sides are named by 1 to 60 letters, digits, `-`, `_` and `.`, not by `\(text)`")
            }
        }
        guard Set(sides.map(\.name)).count == sides.count else {
            throw BinderError(.invalid, "two sides of the bridge \(name) have the same name: \(sides.map(\.name).joined(separator: ", "))")
        }
        id = name
        self.sides = sides
        var groups: [ConsumerGroup] = []
        for side in sides { groups.append(try ConsumerGroup("carillon-\(name)-\(side.name)")) }
        self.groups = groups
        routes = sides.indices.flatMap { from in sides.indices.filter { $0 != from }.map { Route(from: from, to: $0) } }
        self.log = log
        self.metrics = metrics
        let waiting = Readiness.waiting("the bridge has not been started")
        state = Locked(
            State(
                // The sides are part of it: bridges of one name between other brokers are others.
                memory: BridgeMemory(name: ([name] + sides.map(\.name).sorted()).joined(separator: "+")),
                readiness: Dictionary(uniqueKeysWithValues: routes.map { ($0, waiting) })))
    }

    /// Whether every side is read and can be published to; the reason where it is not.
    package var readiness: Readiness {
        let known = state.withLock { $0.readiness }
        for route in routes {
            if case .waiting(let reason)? = known[route] { return .waiting("\(sides[route.from].name): \(reason)") }
        }
        for side in sides {
            if case .waiting(let reason) = side.binder.readiness { return .waiting("\(side.name): \(reason)") }
        }
        return .ready
    }

    /// Carries until shutdown; a broker that is away is waited for. On shutdown what is in hand is ended, or goes back to its broker.
    package func run(_ life: ServiceLife) async throws {
        life.started()
        // An absent broker must not hold the process.
        _ = await withTimeLimit(Self.lastLimit, after: life.shutdown) {
            await withTaskGroup(of: Void.self) { carriers in
                for route in self.routes { carriers.addTask { await self.carry(route, until: life.shutdown) } }
            }
        }
        for route in routes { set(.waiting("the bridge has ended"), route) }
    }

    private static let lastLimit = Duration.seconds(2)

    func set(_ readiness: Readiness, _ route: Route) {
        let before = state.withLock { $0.readiness.updateValue(readiness, forKey: route) }
        guard before != readiness else { return }
        let (from, to) = (sides[route.from].name, sides[route.to].name)
        switch readiness {
        case .ready: log.info("the bridge carries", ["bridge": id, "from": from, "to": to])
        case .waiting(let reason): log.info("the bridge waits", ["bridge": id, "from": from, "to": to, "reason": reason])
        }
    }

    func count(_ what: String, _ route: Route) {
        metrics.count(
            "carillon_bridge_messages_total",
            ["bridge": id, "from": sides[route.from].name, "to": sides[route.to].name, "what": what],
            help:
                "Messages of the bus that came to a bridge, by what became of them: carried, dropped and why, refused; `waits` counts tries."
        )
    }
}

extension BusHeader {
    /// Names of the bridges that a message has passed, with commas.
    package static let hops = "carillon-hops"
}
