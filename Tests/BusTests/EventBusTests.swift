import Bus
import BusEndpoints
import HTTP
import Lifecycle
import Locking
import Streams
import TestSupport
import Testing

@Suite struct EventBusTests {
    private static let ids = ["orders:8081:a", "orders:dev:8082:b", "billing:dev,cloud:8083:c", "billing:8084:d", "stock:8085:e"]

    private func acknowledgements(_ binder: MemoryBinder, of id: String) -> [(event: BusEvent, headers: [String: HeaderValue])] {
        binder.published.compactMap { envelope in
            guard let event = try? BusEvent(decoding: envelope.payload), event.acknowledgement?.id == id else { return nil }
            return (event, envelope.headers)
        }
    }

    @Test(
        arguments: [
            (nil, Set(ids)), ("orders", Set(ids[0...1])), ("billing:cloud", Set([ids[2]])), ("*:*:a", Set([ids[0]])), ("nobody", []),
            ("billing:8084:d", Set([ids[3]])),
        ] as [(String?, Set<String>)])
    func `a refresh reaches each addressed instance exactly once, the sender included, and each acknowledges it`(
        destination: String?, addressed: Set<String>
    ) async throws {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        try await withBuses(Self.ids, over: binder) { bus in
            bus.handle(.refresh) { message in
                applied.add(bus.id.text)
                return EventBus.Handled(.applied, running: RunningConfiguration(version: message.details.version))
            }
        } _: { buses in
            let id = try await buses[0].refresh(destination, details: RefreshDetails(version: "c0ffee", keys: ["a.b"]))
            try await eventually("all have acknowledged") { acknowledgements(binder, of: id).count == addressed.count }
            // One more event, that everybody acknowledges, shows that nothing came twice.
            let last = try await buses[1].refresh()
            try await eventually("all have acknowledged the last one") { acknowledgements(binder, of: last).count == Self.ids.count }
            #expect(applied.count == addressed.count + Self.ids.count)
            let acknowledged = acknowledgements(binder, of: id)
            #expect(Set(acknowledged.map(\.event.origin)) == addressed)
            for one in acknowledged {
                #expect(one.event.destination == "**")
                #expect(one.event.acknowledgement?.destination == DestinationPattern.normalised(destination))
                #expect(one.event.acknowledgement?.eventClass == "org.springframework.cloud.bus.event.RefreshRemoteApplicationEvent")
                let receipt = try #require(Receipt(headers: one.headers, origin: one.event.origin))
                #expect(receipt.outcome == .applied)
                #expect(receipt.running.version == "c0ffee")
                #expect(receipt.instance == one.event.origin)
            }
        }
    }

    @Test func `an environment change for others changes nothing at its sender`() async throws {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        try await withBuses(["orders:1:a", "billing:2:b"], over: binder) { bus in
            bus.handle(.environmentChange) { _ in
                applied.add(bus.id.text)
                return EventBus.Handled(.applied)
            }
        } _: { buses in
            let id = try await buses[0].changeEnvironment([EnvironmentValue(name: "a", value: "1")], "billing")
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            let last = try await buses[0].changeEnvironment([EnvironmentValue(name: "a", value: "2")])
            try await eventually { acknowledgements(binder, of: last).count == 2 }
            #expect(applied.all.count(where: { $0 == "orders:1:a" }) == 1)
            #expect(applied.all.count(where: { $0 == "billing:2:b" }) == 2)
        }
    }

    @Test func `an event that arrives twice is applied once`() async throws {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.handle(.refresh) { message in
                applied.add(message.event.id)
                return EventBus.Handled(.applied)
            }
        } _: { _ in
            let event = BusEvent(.refresh, origin: "x:1:y", destination: "**")
            let last = BusEvent(.refresh, origin: "x:1:y", destination: "**")
            for one in [event, event, last] { binder.inject(Envelope(payload: one.encoded)) }
            try await eventually { acknowledgements(binder, of: last.id).count == 1 }
            #expect(applied.all == [event.id, last.id])
        }
    }

    @Test func `nothing is applied anywhere while the broker refuses the event`() async throws {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.handle(.refresh) { message in
                applied.add(message.event.id)
                return EventBus.Handled(.applied)
            }
        } _: { buses in
            binder.fail(with: BinderError(.unreachable, "no broker"))
            await #expect(throws: BinderError.self) { try await buses[0].refresh() }
            binder.fail(with: nil)
            let id = try await buses[0].refresh()
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            #expect(applied.all == [id])
        }
    }

    @Test func `a handler that fails makes the receipt say so, with what the instance still runs`() async throws {
        struct Broken: Error, CustomStringConvertible { let description = "the server is away" }
        let binder = MemoryBinder()
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.setRunning(RunningConfiguration(label: "main", version: "v1", hash: "h1"))
            bus.handle(.refresh) { _ in throw Broken() }
        } _: { buses in
            let id = try await buses[0].refresh()
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            let receipt = try #require(Receipt(headers: acknowledgements(binder, of: id)[0].headers, origin: ""))
            #expect(receipt.outcome == .failed)
            #expect(receipt.error == "the server is away")
            #expect(receipt.running == RunningConfiguration(label: "main", version: "v1", hash: "h1"))
        }
    }

    @Test func `a handler that hangs is cancelled and counts as failed`() async throws {
        let binder = MemoryBinder()
        try await withBuses(["orders:1:a"], over: binder, handlerLimit: .milliseconds(30)) { bus in
            bus.handle(.refresh) { _ in
                try await Task.sleep(for: .seconds(600))
                return EventBus.Handled(.applied)
            }
        } _: { buses in
            let id = try await buses[0].refresh()
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            #expect(Receipt(headers: acknowledgements(binder, of: id)[0].headers, origin: "")?.outcome == .failed)
        }
    }

    @Test func `shutdown events are seen and never acted on or acknowledged`() async throws {
        let binder = MemoryBinder()
        let seen = Collected<BusFlow.Reception>()
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.observe { if case .received(_, let reception) = $0 { seen.add(reception) } }
        } _: { buses in
            binder.inject(Envelope(payload: BusEvent(.shutdown, origin: "x:1:y", destination: "**").encoded))
            let id = try await buses[0].refresh()
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            try await eventually { seen.all == [.passOver(.shutdown)] }
            #expect(binder.published.count == 2)
        }
    }

    @Test func `a gap is told to those who compare versions, and the instance reports what it runs in a form that peers pass over`()
        async throws
    {
        let binder = MemoryBinder()
        let gaps = Collected<Bool>()
        try await withBuses(["orders:dev:1:a"], over: binder) { bus in
            bus.setRunning(RunningConfiguration(label: "main", version: "v7", hash: "h7"))
            bus.handleGap { gaps.add(true) }
        } _: { buses in
            func reports() -> [Receipt] {
                binder.published.compactMap { Receipt(headers: $0.headers, origin: "") }.filter { $0.outcome == .running }
            }
            try await eventually("the first report") { reports().count == 1 }
            binder.tell(.gap)
            try await eventually("the report after the gap") { reports().count == 2 }
            #expect(gaps.count == 1)
            let report = reports()[0]
            #expect(report.running == RunningConfiguration(label: "main", version: "v7", hash: "h7"))
            #expect(report.profiles == ["dev"])
            let event = try BusEvent(decoding: try #require(binder.published.first).payload)
            #expect(event.type == BusEvent.acknowledgementType)
            #expect(event.acknowledgement?.eventClass == "org.springframework.cloud.bus.event.AckRemoteApplicationEvent")
        }
    }

    @Test func `a bus whose instance runs no configuration says so in its acknowledgements`() async throws {
        let binder = MemoryBinder()
        try await withBuses(["config-server:8888:x"], over: binder) { _ in
        } _: { buses in
            let id = try await buses[0].refresh()
            try await eventually { acknowledgements(binder, of: id).count == 1 }
            #expect(Receipt(headers: acknowledgements(binder, of: id)[0].headers, origin: "")?.outcome == Receipt.Outcome.none)
        }
    }

    @Test(.timeLimit(.minutes(3))) func `a broker that is away does not hold the end, nor a request for long`() async throws {
        let binder = MemoryBinder()
        let started = ContinuousClock.now
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.setRunning(RunningConfiguration(version: "v1"))
        } _: { buses in
            binder.stall()
            binder.inject(Envelope(payload: BusEvent(.refresh, origin: "x:1:y", destination: "**").encoded))
            let request = try #require(HTTPRequest("POST", "/actuator/busrefresh"))
            let response = await BusRoutes(bus: buses[0]).router.respond(to: request)
            #expect(response.status == 503)
            #expect(response.text?.contains("no connection to memory") == true)
        }
        #expect(ContinuousClock.now - started < .seconds(60))
    }

    @Test(.timeLimit(.minutes(1))) func `a broker that was never there does not hold the end`() async throws {
        /// Its broker does not come.
        struct AbsentBinder: Binder {
            let name = "absent"
            let capabilities: BinderCapabilities = []
            let readiness = Readiness.waiting("no connection")
            func run(_ life: ServiceLife) async throws { await life.untilShutdown() }
            func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
                do { try await Task.sleep(for: .seconds(600)) } catch {}
                throw BinderError(.cancelled, "cancelled")
            }
            func withSubscription<R: Sendable>(
                to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
                _ body: (inout Deliveries) async throws -> R
            ) async throws -> R {
                try await Task.sleep(for: .seconds(600))
                throw BinderError(.closed, "closed")
            }
            func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {}
        }
        let bus = EventBus(id: try BusID("orders:1:a"), binder: AbsentBinder())
        bus.setRunning(RunningConfiguration(version: "v1"))
        let shutdown = ShutdownSignal()
        let running = Task { try await bus.run(ServiceLife(shutdown: shutdown)) }
        try await eventually { !bus.readiness.isReady }
        let asked = ContinuousClock.now
        shutdown.request()
        try await running.value
        #expect(ContinuousClock.now - asked < .seconds(60))
    }

    @Test func `an event that may have arrived without a confirm is applied when its echo comes`() async throws {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        try await withBuses(["orders:1:a"], over: binder) { bus in
            bus.handle(.refresh) { message in
                applied.add(message.event.id)
                return EventBus.Handled(.applied)
            }
        } _: { buses in
            let event = BusEvent(.refresh, origin: "orders:1:a", destination: "**")
            binder.fail(with: BinderError(.timedOut, "no confirm"))
            await #expect(throws: BinderError.self) { try await buses[0].publish(event) }
            binder.fail(with: nil)
            binder.inject(Envelope(payload: event.encoded))
            try await eventually { applied.all == [event.id] }
        }
    }
}
