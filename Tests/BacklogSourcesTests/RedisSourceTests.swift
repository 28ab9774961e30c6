import Autoscaler
import BacklogSources
import BinderConformance
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@testable import RedisBinder

@Suite(.enabled(if: RedisServer.isInstalled, .init(rawValue: RedisServer.whyNot)))
struct RedisSourceTests {
    private func binder(_ server: RedisServer, _ change: (inout RedisConfiguration) -> Void = { _ in }) throws -> RedisBinder {
        var configuration = try RedisConfiguration(uri: server.uri)
        change(&configuration)
        return RedisBinder(configuration: configuration)
    }

    @Test func `the backlog is what is unread and what is pending, with retries, and counters beside it`() async throws {
        let binder = try binder(try await RedisServer.shared())
        try await beside(binder) {
            let orders = try queue("orders-\(Identifier.random())")
            let source = BrokerSource(name: "redis", binder)
            let missing = await source.read([orders], within: .seconds(60))[orders]
            #expect(missing?.reading == .unknown && missing?.problem?.contains("prepare") == true)
            try await binder.prepare(group: orders.group, of: orders.destination)
            let empty = try #require(await source.read([orders], within: .seconds(60))[orders])
            #expect(empty.reading.backlog.value == 0 && empty.reading.published.value == 0 && empty.reading.oldest.value == nil)
            for number in 0..<10 { _ = try await binder.publish(Envelope(text: "\(number)"), to: orders.destination) }
            try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions(prefetch: 4)) {
                deliveries in
                try await deliveries.next()?.accept()
                try await deliveries.next()?.retry(after: .seconds(600))
                try await eventually(within: .seconds(60), "9 left, one of them done") {
                    let reading = await source.read([orders], within: .seconds(60))[orders]?.reading
                    return reading?.backlog.value == 9 && (reading?.acknowledged.value ?? 0) >= 1
                }
                let report = try #require(await source.read([orders], within: .seconds(60))[orders])
                #expect(report.reading.published.value == 10)
                #expect(report.reading.oldest.value ?? -1 >= 0)
                #expect(report.members == 1 && report.problem == nil)
            }
        }
    }

    @Test func `a lag that Redis has lost is counted up to a bound, and unknown beyond`() async throws {
        let server = try await RedisServer.shared()
        let binder = try binder(server)
        try await beside(binder) {
            let orders = try queue("orders-\(Identifier.random())")
            let source = BrokerSource(name: "redis", binder)
            try await binder.prepare(group: orders.group, of: orders.destination)
            var positions: [String] = []
            for number in 0..<5 {
                positions.append(try await binder.publish(Envelope(text: "\(number)"), to: orders.destination).position ?? "")
            }
            let stream = binder.keys(of: orders.destination, partition: nil, group: nil).stream
            try await server.command("XDEL", stream, positions[2])
            try await server.command("XGROUP", "SETID", stream, "workers", positions[1])
            #expect(await source.read([orders], within: .seconds(60))[orders]?.reading.backlog.value == 2)
            let fill = "for i = 1, \(RedisBinder.countLimit) do redis.call('XADD', KEYS[1], '*', 'a', 'b') end"
            try await server.command("EVAL", fill, "1", stream)
            let report = await source.read([orders], within: .seconds(60))[orders]
            #expect(report?.reading == .unknown)
            #expect(report?.problem?.contains("more than 1000") == true)
        }
    }

    @Test func `many queues are few scripts, and one that is broken hides no other`() async throws {
        try await RedisServer.with { server in
            let binder = try binder(server) { $0.partitions = ["split": 3] }
            try await beside(binder) {
                let source = BrokerSource(name: "redis", binder)
                let split = try queue("split")
                var queues: Set<DestinationGroup> = [split]
                for number in 0..<200 { queues.insert(try queue("orders-\(number)")) }
                for one in queues {
                    try await binder.prepare(group: one.group, of: one.destination)
                    _ = try await binder.publish(Envelope(text: "x", key: "k"), to: one.destination)
                }
                let (missing, wrong) = (try queue("missing"), try queue("wrong"))
                try await server.command("SET", binder.keys(of: wrong.destination, partition: nil, group: nil).stream, "no stream")
                try await server.command("CONFIG", "RESETSTAT")
                let reports = await source.read(queues.union([missing, wrong]), within: .seconds(60))
                let statistics = try await server.command("INFO", "commandstats")
                // 205 streams, 64 in a script.
                #expect(statistics.contains("cmdstat_eval:calls=4,"), "\(statistics)")
                for one in queues { #expect(reports[one]?.reading.backlog.value == 1, "\(one): \(reports[one]?.problem ?? "")") }
                #expect(reports[missing]?.reading == .unknown && reports[missing]?.problem?.contains("no group") == true)
                #expect(reports[wrong]?.reading == .unknown && reports[wrong]?.problem?.contains("no stream") == true)
                #expect(binder.connectionCount == 1)
            }
        }
    }

    @Test func `a server that is away is unknown within the limit, and known again when it is back`() async throws {
        // By default a write may wait for the disk when the process is killed.
        try await RedisServer.with(["--appendfsync", "always"]) { server in
            let binder = try binder(server)
            try await beside(binder) {
                let orders = try queue("orders")
                let source = BrokerSource(name: "redis", binder)
                try await binder.prepare(group: orders.group, of: orders.destination)
                _ = try await binder.publish(Envelope(text: "x"), to: orders.destination)
                try await server.kill()
                let away = await source.read([orders], within: .milliseconds(500))[orders]
                #expect(away?.reading == .unknown && away?.problem != nil)
                try await server.start()
                try await eventually(within: .seconds(60)) {
                    await source.read([orders], within: .seconds(5))[orders]?.reading.backlog.value == 1
                }
            }
        }
    }

    @Test func `fifty policies of one broker share a connection and a question, whether they name it or mean the server's own`()
        async throws
    {
        try await RedisServer.with { server in
            let binder = try binder(server)
            let policies = try await entries(
                (0..<50).map { number in
                    let source = number % 2 == 0 ? "" : ", source: \"\(server.uri)\""
                    return ("policy-\(number)", ["{destination: orders-\(number), group: workers, wait: 60s\(source)}"])
                })
            let sources = try BacklogSources(policies, embedded: binder, uri: server.uri)
            try await beside(binder) {
                for number in 0..<50 {
                    let one = try queue("orders-\(number)")
                    try await binder.prepare(group: one.group, of: one.destination)
                }
                try await beside(sources) {
                    try await eventually(within: .seconds(60)) {
                        await sources.readAll(within: .seconds(10)).values.allSatisfy { $0.allSatisfy { $0.reading.backlog.value == 0 } }
                    }
                    try await server.command("CONFIG", "RESETSTAT")
                    _ = await sources.readAll(within: .seconds(60))
                    let statistics = try await server.command("INFO", "commandstats")
                    #expect(statistics.contains("cmdstat_eval:calls=1,"), "\(statistics)")
                    let clients = try await server.command("CLIENT", "LIST")
                    #expect(clients.split(separator: "\n").count { $0.contains("name=carillon-scaling") } == 1, "\(clients)")
                    #expect(sources.askedPlaces.map(\.keys.count) == [50])
                }
            }
        }
    }

    @Test func `a destination with partitions is found when its policy says how many`() async throws {
        try await RedisServer.with { server in
            let binder = try binder(server) { $0.partitions = ["orders": 3] }
            let text = "{destination: orders, group: workers, wait: 60s, partitions: 3, source: \"\(server.uri)\"}"
            let sources = try BacklogSources(try await entries([("orders", [text])]), embedded: LocalBinder())
            try await beside(binder) {
                let orders = try queue("orders")
                try await binder.prepare(group: orders.group, of: orders.destination)
                for number in 0..<10 { _ = try await binder.publish(Envelope(text: "x", key: "\(number)"), to: orders.destination) }
                try await beside(sources) {
                    try await eventually(within: .seconds(60), "all of them, over the partitions") {
                        await sources.readAll(within: .seconds(10))["orders"]?.first?.reading.backlog.value == 10
                    }
                }
            }
        }
    }
}
