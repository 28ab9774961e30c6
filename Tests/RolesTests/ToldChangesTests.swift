import Bus
import ConfigModel
import ConfigRepositories
import Lifecycle
import LocalBinder
import Locking
import Roles
import Streams
import Telemetry
import TestSupport
import Testing

@Suite struct ToldChangesTests {
    private func refresh(_ version: String, _ destination: String = "orders:**", label: String? = "main", id: String = "0") -> BusMessage {
        BusMessage(
            event: BusEvent(.refresh, origin: "s:1:x", destination: destination, id: id),
            headers: RefreshDetails(version: version, label: label).headers)
    }

    private func tell(_ told: inout ToldChanges, _ from: String, _ to: String, _ destination: String = "orders") -> String? {
        told.tell(label: "main", from: from, to: to, destination: destination)
    }

    @Test func `what another server has told is not told again, and what it has told of before is`() {
        var told = ToldChanges()
        // The first that this server sees.
        told.record(refresh("v2", id: "7"))
        #expect(tell(&told, "v1", "v2") == nil)
        #expect(tell(&told, "v1", "v2", "orders:**") == nil)
        #expect(tell(&told, "v1", "v2", "billing") != nil)
        #expect(told.tell(label: nil, from: "v1", to: "v2", destination: "orders") != nil)
        #expect(tell(&told, "v2", "v1") != nil)
        #expect(tell(&told, "v2", "v1") == nil)
        #expect(tell(&told, "v1", "v2") != nil)
        // A refresh by hand tells of no version.
        told.record(BusMessage(event: BusEvent(.refresh, origin: "s:1:x", destination: "**"), headers: [:]))
        #expect(tell(&told, "v1", "v2") == nil)
        // By a server that has just started, with an id that it made up.
        told.record(refresh("v3", id: Identifier.random()))
        #expect(tell(&told, "v2", "v3") == nil)
    }

    @Test func `servers that have seen the same make the same id for a step, and another for the same step taken again`() throws {
        var one = ToldChanges()
        var other = ToldChanges()
        for message in [refresh("v1", id: "05"), refresh("v1", "billing", id: "09")] { one.record(message) }
        for message in [refresh("v1", "billing", id: "09"), refresh("v1", id: "05")] { other.record(message) }
        let first = try #require(tell(&one, "v1", "v2"))
        #expect(first == tell(&other, "v1", "v2"))
        #expect(first.count == 36 && first.utf8.count { $0 == 45 } == 4)
        let ids = [first, tell(&one, "v2", "v1"), tell(&one, "v1", "v2"), tell(&one, "v2", "v3"), tell(&one, "v2", "v3", "billing")]
        #expect(Set(ids.compactMap { $0 }).count == 5)
        // What is told late of an older step is not taken for this one.
        #expect(tell(&other, "v2", "v1") == ids[1])
        other.record(refresh("v2", id: first))
        #expect(tell(&other, "v1", "v2") == ids[2])
    }

    @Test func `what did not get out is told again, by the same id`() throws {
        var told = ToldChanges()
        told.record(refresh("v1", id: "05"))
        let first = try #require(tell(&told, "v1", "v2"))
        #expect(tell(&told, "v1", "v2") == nil)
        told.didNotTell(label: "main", version: "v2", destination: "orders")
        #expect(tell(&told, "v1", "v2") == first)
    }

    @Test func `it stays small whatever the bus tells`() {
        var told = ToldChanges()
        for number in 0..<3000 {
            told.record(refresh("v\(number)", id: "1"))
            told.record(refresh("v", label: "l\(number)", id: "1"))
        }
        #expect(tell(&told, "v0", "v2999") == nil)
        #expect(told.tell(label: "l2999", from: nil, to: "v", destination: "orders") != nil)
        #expect(told.tell(label: "l2999", from: nil, to: "v", destination: "orders") != nil)
    }
}

@Suite struct ChangePublisherTests {
    private struct Server: Sendable {
        let bus: EventBus
        let publisher: ChangePublisher
        let metrics = Metrics()

        init(_ name: String, over binder: any Binder, _ audience: Audience) throws {
            bus = EventBus(id: try BusID("config-server:8888:\(name)"), binder: binder)
            publisher = ChangePublisher(bus: bus, audiences: { [audience] }, log: .silent, metrics: metrics)
        }

        /// How many steps it has handled, by itself or since another server had told them.
        var handled: Int {
            metrics.prometheusText.split(separator: "\n").filter { $0.hasPrefix("carillon_changes_total{") }
                .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
        }
    }

    private func snapshot(_ value: Int) -> MemoryRepository {
        MemoryRepository(
            ["main": MemoryTree(texts: ["orders.yml": "a: \(value)"])], builder: EnvironmentBuilder(prefix: "", parsed: ParsedFiles()))
    }

    private func step(_ from: Int, _ to: Int) -> SnapshotChange {
        SnapshotChange(label: "main", from: "v\(from)", to: "v\(to)", before: snapshot(from), after: snapshot(to))
    }

    @Test(.timeLimit(.minutes(2)))
    func `two servers beside one repository tell each change once, also when it is taken back and made again`() async throws {
        let binder = LocalBinder()
        let audience = Audience(applications: ["orders"], profiles: ["default"])
        let servers = try ["a", "b"].map { try Server($0, over: binder, audience) }
        let instance = EventBus(id: try BusID("orders:8080:x"), binder: binder)
        let applied = Locked<[String]>([])
        instance.handle(.refresh) { message in
            applied.withLock { $0.append(message.details.version ?? "") }
            return EventBus.Handled(.applied)
        }
        let shutdown = ShutdownSignal()
        let group = ServiceGroup([binder, instance] + servers.flatMap { [$0.bus, $0.publisher] as [any Service] })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown)) }
            defer { shutdown.request() }
            try await eventually { instance.readiness.isReady && servers.allSatisfy(\.bus.readiness.isReady) }
            // The first is noticed by one server, and by the other when that has told it; from then on by both at once.
            servers[0].publisher.take(step(1, 2))
            let versions = { applied.withLock { $0 } }
            try await eventually { versions() == ["v2"] }
            servers[1].publisher.take(step(1, 2))
            try await eventually { servers.allSatisfy { $0.handled == 1 } }
            let steps = [(2, 3), (3, 2), (2, 3), (3, 4), (4, 2), (2, 3)]
            for (index, (from, to)) in steps.enumerated() {
                for server in servers.shuffled() { server.publisher.take(step(from, to)) }
                try await eventually("step \(index) is applied") {
                    versions().count >= index + 2 && servers.allSatisfy { $0.handled == index + 2 }
                }
            }
            // A refresh that everybody applies comes after all that was told before it.
            for server in servers { try await server.bus.refresh(details: RefreshDetails(version: "fence")) }
            try await eventually { versions().count { $0 == "fence" } == 2 }
            #expect(versions() == ["v2", "v3", "v2", "v3", "v4", "v2", "v3", "fence", "fence"])
        }
    }
}
