import Bus
import Convergence
import Lifecycle
import Streams
import TestSupport
import Testing

/// What holds of the bus over every broker, and over every two of them with a bridge between: the instances are spread over both.
@Suite struct BusOverBrokersTests {
    struct Setting: Sendable, CustomTestStringConvertible {
        let brokers: [BrokerKind]
        var testDescription: String { brokers.map(\.rawValue).joined(separator: " and ") }
    }
    static let settings: [Setting] =
        BrokerKind.available.map { Setting(brokers: [$0]) }
        + BrokerKind.available.indices.flatMap { first in
            BrokerKind.available.indices.filter { $0 > first }.map {
                Setting(brokers: [BrokerKind.available[first], BrokerKind.available[$0]])
            }
        }
    private static let ids = [
        "orders:8081:a", "orders:dev:8082:b", "billing:dev,cloud:8083:c", "billing:8084:d", "stock:8085:e", "stock:8086:f",
    ]

    /// Runs `body` with six instances, spread over the brokers of the setting, that hear each other.
    private func withFleet(
        _ setting: Setting, configure: (EventBus) -> Void = { _ in },
        _ body: (BusWorld, [BusWorld.Broker], [BusWorld.Instance]) async throws -> Void
    ) async throws {
        try await BusWorld.with { world in
            var brokers: [BusWorld.Broker] = []
            for kind in setting.brokers { brokers.append(try await world.broker(kind)) }
            let instances = try Self.ids.enumerated().map { index, id in
                try world.instance(id, on: brokers[index % brokers.count], configure: configure)
            }
            try await eventually("all are subscribed") { instances.allSatisfy(\.bus.readiness.isReady) }
            if brokers.count > 1 {
                let (bridge, _) = try world.bridge(brokers)
                try await eventually("the bridge carries") { bridge.readiness.isReady }
            }
            try await body(world, brokers, instances)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: settings)
    func `a refresh is applied once by each instance that it is for, whoever sends it`(_ setting: Setting) async throws {
        try await withFleet(setting) { _, _, all in
            var expected = Self.ids.map { _ in [String]() }
            for (sender, destination) in [
                (0, nil), (1, nil), (2, "billing"), (3, "orders:dev"), (4, "billing:cloud"), (5, "stock:8085:e"), (0, "stock:8086:f"),
                (1, "orders"), (2, "nobody"), (5, nil), (4, nil),
            ] as [(Int, String?)] {
                let id = try await all[sender].refresh(destination, heardBy: all)
                for index in all.indices where all[index].bus.isAddressed(by: DestinationPattern.normalised(destination)) {
                    expected[index].append(id)
                }
            }
            // The last two went to everybody, from both sides: what was sent before them has arrived before them, also a second time.
            for (instance, ids) in zip(all, expected) { #expect(instance.applied.all == ids, "\(instance.bus.id)") }
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: settings)
    func `an event that comes twice is applied once, and an acknowledgement of each instance reaches all`(_ setting: Setting) async throws {
        let acknowledgements = Collected<String>()
        try await withFleet(setting) { bus in
            guard bus.id.application == "stock" else { return }
            bus.observe { observation in
                guard case .received(let message, .watch) = observation, let one = message.event.acknowledgement else { return }
                acknowledgements.add("\(bus.id) knows that \(message.event.origin) has \(one.id ?? "")")
            }
        } _: { world, brokers, all in
            let event = BusEvent(.refresh, origin: "elsewhere:1:x", destination: "**")
            for broker in brokers {
                let binder = try broker.connect()
                for _ in 0..<2 {
                    _ = try await binder.publish(
                        Envelope(id: event.id, payload: event.encoded, contentType: "application/json"), to: world.destination)
                }
            }
            try await eventually("all have applied it") { all.allSatisfy { $0.applied.all.contains(event.id) } }
            let last = try await all[0].refresh(heardBy: all)
            let afterwards = try await all[5].refresh(heardBy: all)
            for instance in all { #expect(instance.applied.all == [event.id, last, afterwards], "\(instance.bus.id)") }
            let expected = Self.ids.flatMap { id in
                ["stock:8085:e", "stock:8086:f"].filter { $0 != id }.map { "\($0) knows that \(id) has \(event.id)" }
            }
            let known = { acknowledgements.all.filter { $0.hasSuffix(event.id) } }
            try await eventually("every acknowledgement has reached everybody else") { Set(known()).isSuperset(of: expected) }
            #expect(known().sorted() == expected.sorted())
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: settings)
    func `an instance that joins after the refresh is known with what it runs, on every side`(_ setting: Setting) async throws {
        try await withFleet(setting) { world, brokers, all in
            let servers = try brokers.enumerated().map { index, broker in
                let convergence = FleetConvergence()
                let server = try world.instance("config-server:\(index):s", on: broker) { convergence.watch($0) }
                return (server: server, convergence: convergence)
            }
            try await eventually { servers.allSatisfy { $0.server.bus.readiness.isReady } }
            _ = try await all[0].refresh(version: "v2", heardBy: all)
            for (index, broker) in brokers.enumerated() {
                _ = try world.instance("late:\(index):x", on: broker) { $0.setRunning(RunningConfiguration(version: "v2")) }
            }
            for one in servers {
                try await eventually("all are known everywhere, the late ones among them") {
                    let known = one.convergence.ledger.instances
                    return brokers.indices.allSatisfy { known["late:\($0):x"]?.running.version == "v2" }
                        && Self.ids.allSatisfy { known[$0]?.running.version == "v2" }
                }
            }
        }
    }

    /// As when a fleet leaves one broker for another: each instance is started anew beside its old self, on the other broker, before that one goes.
    @Test(.serialized, .timeLimit(.minutes(10)), arguments: settings.filter { $0.brokers.count > 1 })
    func `a fleet moves from one broker to the other an instance at a time, while refreshes go on, and misses none`(
        _ setting: Setting
    ) async throws {
        try await BusWorld.with { world in
            let old = try await world.broker(setting.brokers[0])
            let new = try await world.broker(setting.brokers[1])
            let (bridge, stopBridge) = try world.bridge([old, new])
            let server = try world.instance("config-server:8888:s", on: old)
            var fleet = try (0..<5).map { try world.instance("orders:808\($0):old", on: old) }
            try await eventually { (fleet + [server]).allSatisfy(\.bus.readiness.isReady) && bridge.readiness.isReady }

            let sent = Collected<String>()
            let moved = ShutdownSignal()
            // A refresh waits for no instance, as a change of the configuration does not.
            async let sending: Void = {
                while !moved.isRequested {
                    sent.add(try await server.bus.refresh("orders"))
                    try await Task.sleep(for: .milliseconds(100))
                }
            }()
            // What each place in the fleet has seen, by its old self and its new one.
            var histories: [(old: BusWorld.Instance, new: BusWorld.Instance, before: Int)] = []
            for index in fleet.indices {
                let here = sent.count
                try await eventually { sent.count > here + 2 }
                let next = try world.instance("orders:808\(index):new", on: new)
                try await eventually { next.bus.readiness.isReady }
                let (known, handedOver) = (fleet[index].applied.count, sent.count)
                // The old self goes when the new one hears what the server says now.
                try await eventually { next.applied.all.contains { sent.all.dropFirst(handedOver).contains($0) } }
                try await fleet[index].stop()
                histories.append((fleet[index], next, known))
                fleet[index] = next
            }
            let here = sent.count
            try await eventually { sent.count > here + 2 }
            moved.request()
            try await sending
            // The server moves last; then nothing needs the bridge any more.
            let other = try world.instance("config-server:8888:n", on: new)
            try await eventually { other.bus.readiness.isReady }
            let last = try await server.refresh("orders", heardBy: fleet)
            try await stopBridge()
            let afterwards = try await other.refresh("orders", heardBy: fleet)
            let expected = Set(sent.all + [last, afterwards])
            for history in histories {
                let seen = Set(history.old.applied.all + history.new.applied.all)
                #expect(seen == expected)
                #expect(history.before > 0)
                for one in [history.old, history.new] { #expect(Set(one.applied.all).count == one.applied.count) }
            }
        }
    }
}
