import Bus
import Lifecycle
import RabbitMQBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RabbitMQServer.isInstalled, "rabbitmq-server is not installed: apt-get install rabbitmq-server"))
struct BusBridgeRabbitMQTests {
    @Test(.timeLimit(.minutes(5)))
    func `what comes while one broker is down is carried when it is back, both ways and in order, also where the bridge was down as well`()
        async throws
    {
        try await RabbitMQServer.with { server in
            try await BusWorld.with { world in
                let (local, rabbit) = (try await world.broker(.local), world.broker(server))
                let first = try world.bridge([local, rabbit])
                let (here, there) = (try local.connect(), try rabbit.connect())
                // What stands in for the instances there: a queue that outlasts the outage.
                let probe = try ConsumerGroup("probe")
                try await there.prepare(group: probe, of: world.destination)
                let seen = try await world.listen(on: local)
                try await eventually { first.bridge.readiness.isReady }
                try await server.writeDeclarations()
                func publish(_ numbers: Range<Int>, by binder: any Binder) async throws {
                    for number in numbers {
                        let event = BusEvent(.refresh, origin: "a:1:x", destination: "**", id: "\(number)")
                        _ = try await binder.publish(
                            Envelope(id: event.id, payload: event.encoded, contentType: "application/json"), to: world.destination)
                    }
                }
                try await publish(0..<5, by: here)
                try await server.kill()
                try await eventually("the bridge knows it") { !first.bridge.readiness.isReady }
                try await publish(5..<15, by: here)
                try await server.start()
                try await eventually("the bridge carries again") { first.bridge.readiness.isReady }
                try await publish(15..<20, by: here)
                var arrived: [String] = []
                try await there.withSubscription(to: world.destination, group: probe, options: SubscriptionOptions()) { deliveries in
                    while arrived.last != "19", let delivery = try await deliveries.next() {
                        // What was published again after a confirm that was lost comes twice, and receivers know it by its id.
                        if !arrived.contains(delivery.envelope.id) { arrived.append(delivery.envelope.id) }
                        try await delivery.accept()
                    }
                }
                let expected: [String] = (0..<20).map { "\($0)" }
                #expect(arrived == expected)

                try await first.stop()
                try await publish(100..<105, by: there)
                try await server.stop()
                let second = try world.bridge([local, rabbit])
                try await server.start()
                try await eventually { second.bridge.readiness.isReady }
                try await eventually { seen.all.contains { $0.id == "104" } }
                let carried = seen.all.map(\.id).filter { $0.count == 3 }
                #expect(carried == ["100", "101", "102", "103", "104"])
            }
        }
    }
}
