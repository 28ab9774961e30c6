import Bus
import JSON
import Lifecycle
import RabbitMQBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RabbitMQServer.isInstalled, "rabbitmq-server is not installed: apt-get install rabbitmq-server"))
struct BusRabbitMQTests {
    private static let ids = ["orders:8081:a", "orders:dev:8082:b", "billing:dev,cloud:8083:c", "billing:8084:d", "stock:8085:e"]

    @Test(.timeLimit(.minutes(5)))
    func `over a real broker a refresh reaches each addressed instance exactly once, and the acknowledgements are as recorded`()
        async throws
    {
        let server = try await RabbitMQServer.shared()
        let destination = try Destination("bus-\(Identifier.random())")
        let applied = Collected<String>()
        let wire = Collected<Envelope>()
        let shutdown = ShutdownSignal()
        // One binder for each instance, as in separate processes, and one more that listens.
        let binders = try (0...Self.ids.count).map { _ in RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: server.uri)) }
        var configuration = EventBus.Configuration()
        configuration.destination = destination
        let buses = try zip(Self.ids, binders).map { id, binder in
            let bus = EventBus(id: try BusID(id), binder: binder, configuration: configuration)
            bus.handle(.refresh) { message in
                applied.add("\(message.event.id) \(bus.id)")
                return EventBus.Handled(.applied, running: RunningConfiguration(version: message.details.version))
            }
            return bus
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for binder in binders { tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) } }
            for bus in buses { tasks.addTask { try await bus.run(ServiceLife(shutdown: shutdown)) } }
            let listening = ShutdownSignal()
            tasks.addTask {
                let listener = Consumer(destination: destination, group: nil) { wire.add($0.envelope) }
                let gate = FetchGate()
                async let closing: Void = {
                    await shutdown.wait()
                    gate.close()
                }()
                try await listener.run(over: binders[Self.ids.count], gate: gate) { listening.request() }
                await closing
            }
            defer { shutdown.request() }
            await listening.wait()
            try await eventually(within: .seconds(60), "all buses are subscribed") { buses.allSatisfy(\.readiness.isReady) }

            func events() -> [BusEvent] { wire.all.compactMap { try? BusEvent(decoding: $0.payload) } }
            func acknowledgements(_ id: String) -> [BusEvent] { events().filter { $0.acknowledgement?.id == id } }
            let all = try await buses[0].refresh(details: RefreshDetails(version: "v2"))
            try await eventually(within: .seconds(60)) { acknowledgements(all).count == 5 }
            let targeted = try await buses[0].refresh("billing:cloud")
            try await eventually(within: .seconds(60)) { acknowledgements(targeted).count == 1 }
            let last = try await buses[4].refresh("stock")
            try await eventually(within: .seconds(60)) { acknowledgements(last).count == 1 }

            #expect(applied.all.filter { $0.hasPrefix(all) }.sorted() == Self.ids.map { "\(all) \($0)" }.sorted())
            #expect(applied.all.filter { $0.hasPrefix(targeted) } == ["\(targeted) \(Self.ids[2])"])
            #expect(applied.count == 7)
            #expect(Set(acknowledgements(all).map(\.origin)) == Set(Self.ids))
            for one in acknowledgements(all) {
                #expect(one.destination == "**")
                #expect(one.acknowledgement?.destination == "**")
                #expect(one.acknowledgement?.eventClass == "org.springframework.cloud.bus.event.RefreshRemoteApplicationEvent")
            }
            // On the wire as the original has it: JSON, and the members of the body in the recorded order.
            #expect(wire.all.allSatisfy { $0.contentType == "application/json" })
            let first = try #require(wire.all.first { $0.id == all })
            let names = try JSONReader.read(first.payload).members.map(\.name)
            #expect(names == ["type", "timestamp", "originService", "destinationService", "id"])
            #expect(RefreshDetails(headers: first.headers).version == "v2")
            let receipt = try #require(
                wire.all.compactMap { Receipt(headers: $0.headers, origin: "") }.first {
                    $0.instance == Self.ids[1] && $0.outcome == .applied
                })
            #expect(receipt.profiles == ["dev"])
            #expect(receipt.running.version == "v2")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `after the broker was killed and started again the bus tells of the gap and goes on`() async throws {
        try await RabbitMQServer.with { server in
            let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: server.uri))
            let applied = Collected<String>()
            let gaps = Collected<Bool>()
            let bus = EventBus(id: try BusID("orders:1:a"), binder: binder)
            bus.handle(.refresh) { message in
                applied.add(message.event.id)
                return EventBus.Handled(.applied)
            }
            bus.handleGap { gaps.add(true) }
            let shutdown = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
                tasks.addTask { try await bus.run(ServiceLife(shutdown: shutdown)) }
                defer { shutdown.request() }
                try await eventually(within: .seconds(60)) { bus.readiness.isReady }
                try await server.kill()
                try await eventually(within: .seconds(60), "the bus knows that it is cut off") { !bus.readiness.isReady }
                try await server.start()
                try await eventually(within: .seconds(60), "the bus is back") { bus.readiness.isReady }
                try await eventually { gaps.count == 1 }
                let id = try await bus.refresh()
                try await eventually { applied.all == [id] }
            }
        }
    }
}
