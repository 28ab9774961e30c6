import Autoscaler
import BacklogSources
import BinderConformance
import Lifecycle
import LocalBinder
import Locking
import Settings
import Streams
import TestSupport
import Testing

@Suite struct BacklogSourcesTests {
    @Test func `a broker that is away keeps nobody from ending`() async throws {
        let policies = try await entries([("orders", ["{source: \"redis://127.0.0.1:1\", destination: orders, group: workers, wait: 60s}"])]
        )
        let sources = try BacklogSources(policies, embedded: LocalBinder())
        var end = ContinuousClock.now
        try await beside(sources) {
            let reports = await sources.readAll(within: .milliseconds(200))
            #expect(reports["orders"]?.first?.problem?.contains("is its address right?") == true)
            end = .now
        }
        // Waiting for the question to be answered takes twenty seconds.
        #expect(end.duration(to: .now) < .seconds(15))
    }

    @Test func `policies share places, and each gets a report for each of its conditions in their order`() async throws {
        let pages = FakePages()
        pages.put("/stats", #"{"a":1,"b":2}"#)
        try await TestHTTPServer.with(pages) { server in
            let binder = LocalBinder()
            let page = "source: {http: \"\(server.url)/stats\", backlog: "
            let policies = try await entries([
                ("one", ["{destination: orders, group: workers, wait: 60s}", "{wait: 60s, \(page)/b}}"]),
                ("two", ["{wait: 60s, \(page)/a}}", "{destination: orders, group: workers, wait: 60s}", "{wait: 60s, \(page)/c}}"]),
                ("three", ["{destination: orders, group: workers, drain: 5m}"]),
            ])
            let sources = try BacklogSources(policies, embedded: binder)
            try await beside(sources) {
                let orders = try queue("orders")
                // The group is made by the sources: nobody need have subscribed before.
                try await eventually(within: .seconds(60)) {
                    (try? await binder.backlog(of: orders.destination, group: orders.group)) != nil
                }
                for _ in 0..<5 { _ = try await binder.publish(Envelope(text: "x"), to: orders.destination) }
                let all = await sources.readAll(within: .seconds(60))
                #expect(all["one"]?.map(\.reading.backlog.value) == [5, 2])
                #expect(all["two"]?.map(\.reading.backlog.value) == [1, 5, nil])
                #expect(all["two"]?[2].problem?.contains("/c") == true)
                #expect(all["three"]?.map(\.reading.backlog.value) == [5])
                #expect(pages.requests.count == 1)
                #expect(sources.askedPlaces.map(\.keys.count) == [3, 3])
            }
        }
    }

    @Test func `every policy of a queue hears when something arrives in it`() async throws {
        let binder = LocalBinder()
        let policies = try await entries([
            ("one", ["{destination: orders, group: workers, wait: 60s}"]), ("two", ["{destination: orders, group: workers, wait: 5s}"]),
            ("three", ["{destination: other, group: workers, wait: 60s}"]),
        ])
        let sources = try BacklogSources(policies, embedded: binder)
        let hints = Recorded<String>()
        try await beside(sources) {
            let orders = try queue("orders")
            try await binder.prepare(group: orders.group, of: orders.destination)
            let watching = Task { await sources.askedPlaces.first?.watch { hints.add($0.policy) } }
            try await eventually(within: .seconds(60)) {
                _ = try await binder.publish(Envelope(text: "x"), to: orders.destination)
                return Set(hints.all) == ["one", "two"]
            }
            watching.cancel()
            await watching.value
        }
    }

    @Test func `two policies that count the partitions of one destination otherwise are refused`() async throws {
        let queue = "destination: orders, group: workers, wait: 60s, source: \"redis://h/0\""
        let policies = try await entries([("one", ["{\(queue), partitions: 3}"]), ("two", ["{\(queue), partitions: 4}"])])
        let error = #expect(throws: SettingsError.self) { try BacklogSources(policies, embedded: LocalBinder()) }
        #expect(error?.message == "scaling.policies.two: `orders` has 4 partitions here and 3 in another policy")
    }

    @Test(arguments: [
        ("{destination: orders, wait: 60s}", "`group`"),
        ("{destination: orders, group: workers, wait: 60s, source: \"ftp://x\"}", "amqp://"),
        ("{destination: orders, group: workers, wait: 60s, source: \"local:folder\"}", "leave `source` out"),
        ("{destination: \"a b\", group: workers, wait: 60s}", "blank"), ("{wait: 60s, source: {http: nowhere, backlog: /a}}", "no URL"),
        ("{wait: 60s, source: {http: \"http://x/\", backlog: /a~}}", "JSON pointer"),
        ("{destination: orders, group: workers, wait: 60s, source: \"amqp://u:secret@h/?nonsense=1\"}", "nonsense"),
    ])
    func `what cannot be asked is refused at the start, naming the policy and the remedy`(text: String, remedy: String) async throws {
        let policies = try await entries([("orders", [text])])
        let error = #expect(throws: SettingsError.self) { try BacklogSources(policies, embedded: LocalBinder()) }
        #expect(error?.message.contains("scaling.policies.orders") == true)
        #expect(error?.message.contains(remedy) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("secret") == false)
    }

    @Test func `a broker that is slow is asked once at a time, and its late answer serves the next poll with its age`() async throws {
        let orders = try queue("orders")
        let gate = ShutdownSignal()
        let slow = FakeReporting { _ in
            await gate.wait()
            return [orders: .success(Backlog(ready: 7, inHand: 0, delayed: 0))]
        }
        let source = BrokerSource(name: "slow", slow)
        for _ in 0..<3 {
            let report = await source.read([orders], within: .milliseconds(20))[orders]
            #expect(report?.reading == .unknown)
            #expect(report?.problem?.contains("is its address right?") == true)
        }
        #expect(slow.questions == 1)
        // The answer comes when nobody waits, and the next one is slow, too.
        let second = ShutdownSignal()
        slow.set { _ in
            await second.wait()
            return [orders: .success(Backlog(ready: 8, inHand: 0, delayed: 0))]
        }
        gate.request()
        try await eventually(within: .seconds(60)) {
            await source.read([orders], within: .milliseconds(20))[orders]?.reading.backlog.value == 7
        }
        #expect(slow.questions <= 2)
        second.request()
        try await eventually(within: .seconds(60)) { await source.read([orders], within: .seconds(60))[orders]?.reading.backlog.value == 8 }
        let fresh = await source.read([orders], within: .seconds(60))[orders]
        #expect(fresh?.reading.backlog.value == 8)
    }

    @Test func `a late answer has the age of its question`() async throws {
        let orders = try queue("orders")
        let gate = ShutdownSignal()
        let slow = FakeReporting { _ in
            await gate.wait()
            return [orders: .success(Backlog(ready: 7, inHand: 0, delayed: 0))]
        }
        let source = BrokerSource(name: "slow", slow)
        #expect(await source.read([orders], within: .milliseconds(60))[orders]?.reading == .unknown)
        async let late = source.read([orders], within: .seconds(60))[orders]
        gate.request()
        #expect(await late?.reading.backlog.value == 7)
        #expect(await late?.reading.backlog.age ?? 0 >= 0.06)
    }

    @Test func `a negative number, an error and silence about a queue are unknown, and what is left out is told`() async throws {
        let (negative, failed, silent, good) = (try queue("negative"), try queue("failed"), try queue("silent"), try queue("good"))
        let reporting = FakeReporting { _ in
            [
                negative: .success(Backlog(ready: -1, inHand: 2, delayed: 0)), failed: .failure(BinderError(.refused, "who are you")),
                good: .success(Backlog(ready: 1, inHand: nil, delayed: nil, published: -5, note: "not all")),
            ]
        }
        let reports = await BrokerSource(name: "fake", reporting).read([negative, failed, silent, good], within: .seconds(60))
        #expect(reports.count == 4)
        for one in [negative, failed, silent] { #expect(reports[one]?.reading == .unknown && reports[one]?.problem != nil) }
        #expect(reports[failed]?.problem == "fake: who are you")
        #expect(reports[good]?.reading.backlog.value == 1)
        #expect(reports[good]?.reading.published.value == nil)
        #expect(reports[good]?.note == "not all")
    }

    @Test func `a partition that stands still is told of, also over readings that failed`() async throws {
        let orders = try queue("orders")
        let backlog = Backlog(
            ready: 9, inHand: 0, delayed: 0, members: 1,
            progress: [
                PartitionProgress(partition: "0", committed: 5, backlog: 9), PartitionProgress(partition: "1", committed: 8, backlog: 0),
            ])
        let reporting = FakeReporting { _ in [orders: .success(backlog)] }
        let source = BrokerSource(name: "fake", reporting, stuckLimit: .milliseconds(50))
        #expect(await source.read([orders], within: .seconds(60))[orders]?.stuck == [])
        reporting.set { _ in [orders: .failure(BinderError(.unreachable, "away"))] }
        #expect(await source.read([orders], within: .seconds(60))[orders]?.reading == .unknown)
        reporting.set { _ in [orders: .success(backlog)] }
        try await eventually(within: .seconds(60)) { await source.read([orders], within: .seconds(60))[orders]?.stuck == ["0"] }
    }

    @Test func `ten thousand queues of one place are one question`() async throws {
        let reporting = FakeReporting { groups in
            groups.reduce(into: [:]) { $0[$1] = .success(Backlog(ready: 1, inHand: 0, delayed: 0, published: 1)) }
        }
        let source = BrokerSource(name: "fake", reporting)
        let queues = Set(try (0..<10_000).map { try queue("orders-\($0)") })
        let reports = await source.read(queues, within: .seconds(120))
        #expect(reports.count == 10_000 && reports.values.allSatisfy { $0.reading.backlog.value == 1 })
        #expect(reporting.questions == 1)
    }
}
