import Bus
import Lifecycle
import LocalBinder
import Streams
import Telemetry
import TestSupport
import Testing

@Suite struct BusBridgeTests {
    @Test(.timeLimit(.minutes(5)))
    func `whatever is on the bus is carried as it came, with the hop header and nothing else`() async throws {
        try await BusWorld.with { world in
            let (one, two) = (try await world.broker(.local, name: "one"), try await world.broker(.local, name: "two"))
            let seen = try await world.listen(on: two)
            let (bridge, _) = try world.bridge([one, two], name: "b")
            try await eventually { bridge.readiness.isReady }
            let refresh = BusEvent(.refresh, origin: "a:1:x", destination: "**")
            let envelopes = [
                Envelope(payload: refresh.encoded, contentType: "application/json", headers: ["target-protocol": "amqp"], timestamp: 5_000),
                Envelope(payload: Array(#"{"type":"Own$Event","originService":"a:1:x","x":1.50}"#.utf8), headers: ["b": .bytes([0, 255])]),
                Envelope(payload: [0xFF, 0x00, 0x7B], contentType: "application/octet-stream", headers: ["n": 7], key: "k"),
                Envelope(payload: []),
            ]
            let binder = try one.connect()
            for envelope in envelopes { _ = try await binder.publish(envelope, to: world.destination) }
            try await eventually { seen.count == envelopes.count }
            for (sent, came) in zip(envelopes, seen.all) {
                var expected = sent
                expected.headers[BusHeader.hops] = "b+one+two"
                expected.timestamp = came.timestamp
                if let time = sent.timestamp { #expect(came.timestamp == time) }
                #expect(came == expected)
            }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `three bridges around three brokers end every loop, and each instance applies a refresh once`() async throws {
        try await BusWorld.with { world in
            var brokers: [BusWorld.Broker] = []
            for name in ["a", "b", "c"] { brokers.append(try await world.broker(.local, name: name)) }
            var wires: [Collected<Envelope>] = []
            for broker in brokers { wires.append(try await world.listen(on: broker)) }
            let all = try brokers.enumerated().map { try world.instance("orders:\($0):x", on: $1) }
            let bridges = try [(0, 1), (1, 2), (2, 0)].map { first, second in
                try world.bridge([brokers[first], brokers[second]], name: "b\(first)\(second)").bridge
            }
            try await eventually { all.allSatisfy(\.bus.readiness.isReady) && bridges.allSatisfy(\.readiness.isReady) }
            var sent: [String] = []
            for _ in 0..<3 { for instance in all { sent.append(try await instance.refresh(heardBy: all)) } }
            // What still goes round when the last has arrived everywhere had time for it until two more have.
            for _ in 0..<2 { for instance in all { _ = try await instance.refresh(heardBy: all) } }
            for instance in all { #expect(Array(instance.applied.all.prefix(sent.count)) == sent) }
            for wire in wires {
                for id in sent {
                    // One, and one more for each of the two ways round that are faster than the memory of a bridge.
                    let copies = wire.all.count { $0.id == id }
                    #expect((1...3).contains(copies), "\(copies) copies")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a way back that drops every header ends, since an event is known by its origin and id`() async throws {
        try await BusWorld.with { world in
            let (one, two) = (try await world.broker(.local, name: "one"), try await world.broker(.local, name: "two"))
            let metrics = Metrics()
            let (bridge, _) = try world.bridge([one, two], metrics: metrics)
            let wire = try await world.listen(on: one)
            let target = try one.connect()
            try await world.consume(on: two) { event in
                _ = try await target.publish(Envelope(payload: event.envelope.payload), to: world.destination)
            }
            try await eventually { bridge.readiness.isReady }
            let instance = try world.instance("orders:1:x", on: two)
            try await eventually { instance.bus.readiness.isReady }
            let event = BusEvent(.refresh, origin: "a:1:x", destination: "**")
            _ = try await target.publish(Envelope(payload: event.encoded), to: world.destination)
            try await eventually("it has come back") { wire.all.count { $0.payload == event.encoded } == 2 }
            // What is carried after it tells that the copy was not.
            let last = BusEvent(.refresh, origin: "a:1:x", destination: "**")
            _ = try await target.publish(Envelope(payload: last.encoded), to: world.destination)
            try await eventually { wire.all.count { $0.payload == last.encoded } == 2 }
            #expect(instance.applied.all == [event.id, last.id])
            #expect(wire.all.count { $0.payload == event.encoded } == 2)
            #expect(metrics.prometheusText.contains(#"from="one",to="two",what="known"} "#))
            #expect(metrics.prometheusText.contains(#"from="two",to="one",what="loop"} "#))
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `two bridges side by side deliver once, and two processes of one bridge share the work`() async throws {
        try await BusWorld.with { world in
            let (one, two) = (try await world.broker(.local, name: "one"), try await world.broker(.local, name: "two"))
            let wire = try await world.listen(on: two)
            let all = try (0..<6).map { try world.instance("orders:\($0):x", on: $0.isMultiple(of: 2) ? one : two) }
            let shared = Metrics()
            let first = try world.bridge([one, two], name: "shared", metrics: shared)
            let second = try world.bridge([two, one], name: "shared", metrics: shared)
            try await eventually { (all.map(\.bus.readiness) + [first.bridge.readiness, second.bridge.readiness]).allSatisfy(\.isReady) }
            var sent: [String] = []
            for index in 0..<20 { sent.append(try await all[index % 6].refresh(heardBy: all)) }
            for id in sent { #expect(wire.all.count { $0.id == id } == 1) }

            try await first.stop()
            let other = try world.bridge([one, two], name: "other").bridge
            try await eventually { other.readiness.isReady }
            for index in 0..<20 { sent.append(try await all[index % 6].refresh(heardBy: all)) }
            let last = try await all[0].refresh(heardBy: all)
            _ = try await all[1].refresh(heardBy: all)
            for instance in all { #expect(Array(instance.applied.all.prefix(41)) == sent + [last]) }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `what is published while the bridge is not running is carried when it runs again`() async throws {
        try await BusWorld.with { world in
            let (one, two) = (try await world.broker(.local, name: "one"), try await world.broker(.local, name: "two"))
            let all = try [one, two].enumerated().map { try world.instance("orders:\($0):x", on: $1) }
            let first = try world.bridge([one, two])
            try await eventually { all.allSatisfy(\.bus.readiness.isReady) && first.bridge.readiness.isReady }
            var sent = [try await all[0].refresh(heardBy: all)]
            try await first.stop()
            #expect(!first.bridge.readiness.isReady)
            for _ in 0..<10 { sent.append(try await all[0].refresh(heardBy: [all[0]])) }
            #expect(all[1].applied.count == 1)
            _ = try world.bridge([one, two])
            try await eventually { all[1].applied.count == 11 }
            #expect(all[1].applied.all == sent)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a message that the other broker will never take goes to the dead letters, and those behind it go on`() async throws {
        try await BusWorld.with { world in
            let one = try await world.broker(.local, name: "one")
            let small = LocalBinder(limits: LocalLimits(eventBytes: 2000))
            world.start(small)
            let two = BusWorld.Broker(name: "two") { small }
            let metrics = Metrics()
            let (bridge, _) = try world.bridge([one, two], metrics: metrics)
            let seen = try await world.listen(on: two)
            try await eventually { bridge.readiness.isReady }
            let binder = try one.connect()
            for size in [100, 5000, 200] {
                _ = try await binder.publish(Envelope(payload: Array(repeating: 0x20, count: size)), to: world.destination)
            }
            try await eventually { seen.count == 2 }
            #expect(seen.all.map(\.payload.count) == [100, 200])
            #expect(metrics.prometheusText.contains(#"from="one",to="two",what="refused"} 1"#))
            let group = try ConsumerGroup("carillon-bridge-two")
            let backlog = try await (binder as? any BacklogReporting)?.backlog(of: world.destination, group: group)
            #expect(backlog?.dead == 1)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `the acknowledgements of a large fleet cross in a burst, those of one instance in their order`() async throws {
        try await BusWorld.with { world in
            let (one, two) = (try await world.broker(.local, name: "one"), try await world.broker(.local, name: "two"))
            let (bridge, _) = try world.bridge([one, two])
            let seen = try await world.listen(on: two)
            try await eventually { bridge.readiness.isReady }
            let binder = try one.connect()
            for round in 0..<10 {
                for instance in 0..<200 {
                    let body = Acknowledgement(id: "\(round)", destination: "**", eventClass: nil)
                    let event = BusEvent(.acknowledgement(body), origin: "orders:\(instance):x", destination: "**")
                    _ = try await binder.publish(Envelope(id: event.id, payload: event.encoded), to: world.destination)
                }
            }
            try await eventually { seen.count == 2000 }
            var rounds: [String: [String]] = [:]
            for envelope in seen.all {
                let event = try BusEvent(decoding: envelope.payload)
                rounds[event.origin, default: []].append(event.acknowledgement?.id ?? "")
            }
            #expect(rounds.count == 200)
            #expect(rounds.values.allSatisfy { $0 == (0..<10).map(String.init) })
        }
    }

    @Test func `a bridge that cannot be is refused with a reason`() async throws {
        let binder = LocalBinder()
        for (name, sides) in [("b", ["a"]), ("b", ["a", "a"]), ("b c", ["a", "b"]), ("b", ["a", "x,y"]), ("", ["a", "b"])] {
            #expect(throws: BinderError.self) { try BusBridge(name: name, sides.map { BusBridge.Side($0, binder) }) }
        }
    }
}
