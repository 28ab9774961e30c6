import Autoscaler
import BacklogSources
import BinderConformance
import Lifecycle
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.enabled(if: KafkaServer.isAvailable, .init(rawValue: KafkaServer.whyNot)))
struct KafkaSourceTests {
    private func configuration(_ server: KafkaServer, _ change: (inout KafkaConfiguration) -> Void = { _ in }) throws -> KafkaConfiguration
    {
        var configuration = try KafkaConfiguration(uri: "kafka://\(server.bootstrap)")
        configuration.groupNaming = .destination
        configuration.heartbeat = .milliseconds(200)
        change(&configuration)
        return configuration
    }

    private func fresh(_ name: String = "orders") throws -> DestinationGroup { try queue("\(name)-\(Identifier.random().prefix(8))") }

    @Test func `committed against end: backlog, what came, what is done, members and partitions`() async throws {
        let server = try await KafkaServer.shared()
        let orders = try fresh()
        let settings = try configuration(server) { $0.partitions = [orders.destination.name: 2] }
        let binder = KafkaBinder(configuration: settings)
        let inquiry = KafkaInquiry(configuration: settings)
        let source = BrokerSource(name: "kafka", inquiry)
        try await beside(binder) {
            try await beside(inquiry) {
                let missing = await source.read([orders], within: .seconds(60))[orders]
                #expect(missing?.reading == .unknown && missing?.problem?.contains("no topic") == true)
                _ = try await binder.publish(Envelope(text: "before", key: "k"), to: orders.destination)
                // The topic is looked for again after a while: here at once.
                let other = BrokerSource(name: "kafka", KafkaInquiry(configuration: settings))
                let ungrouped = await other.read([orders], within: .seconds(60))[orders]
                #expect(ungrouped?.reading == .unknown && ungrouped?.problem?.contains("no group") == true)
                try await binder.prepare(group: orders.group, of: orders.destination)
                for number in 0..<9 {
                    _ = try await binder.publish(Envelope(text: "\(number)", key: "key-\(number)"), to: orders.destination)
                }
                let waiting = try #require(await other.read([orders], within: .seconds(60))[orders])
                #expect(waiting.reading.backlog.value == 9, "\(waiting.problem ?? "")")
                #expect(waiting.reading.published.value == 10)
                #expect(waiting.reading.acknowledged.value == 1)
                #expect(waiting.reading.partitions.value == 2)
                #expect(waiting.reading.oldest.value ?? -1 >= 0)
                #expect(waiting.members == 0)
                try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions(prefetch: 4)) {
                    deliveries in
                    for _ in 0..<2 { try await deliveries.next()?.accept() }
                    let held = try await deliveries.next()?.take()
                    try await eventually(within: .seconds(60), "two done") {
                        let report = await other.read([orders], within: .seconds(60))[orders]
                        return report?.reading.backlog.value == 7 && report?.reading.acknowledged.value == 3 && report?.members == 1
                    }
                    held?.settlement.release()
                }
            }
        }
    }

    @Test func `what retention took away is no backlog, and what is not committed is as the reset policy says`() async throws {
        let server = try await KafkaServer.shared()
        let orders = try fresh()
        let settings = try configuration(server) { $0.partitions = [orders.destination.name: 2] }
        try await beside(KafkaBinder(configuration: settings)) {}
        let binder = KafkaBinder(configuration: settings)
        try await beside(binder) {
            for number in 0..<10 {
                var envelope = Envelope(text: "\(number)", key: "k")
                envelope.headers[Partitioner.header] = .integer(Int64(number % 2))
                _ = try await binder.publish(envelope, to: orders.destination)
            }
            let (topic, group) = (orders.destination.name, "\(orders.destination).\(orders.group)")
            let places = (0..<2).map { TopicPartition(topic: topic, partition: Int32($0)) }
            try await binder.ask { admin throws(BinderError) in
                do throws(KafkaFailure) {
                    // Partition 0 stands at 1, of which retention has taken 3; partition 1 has no commit, and 2 are gone.
                    try admin.commit([PartitionOffset(place: places[0], offset: 1)], for: group)
                    try admin.deleteRecords(below: [
                        PartitionOffset(place: places[0], offset: 3), PartitionOffset(place: places[1], offset: 2),
                    ])
                } catch { throw error.binderError }
            }
            for (policy, backlog) in [(KafkaConfiguration.Uncommitted.earliest, 5.0), (.latest, 2)] {
                var own = settings
                own.uncommitted = policy
                let report = try #require(
                    await BrokerSource(name: "kafka", KafkaInquiry(configuration: own)).read([orders], within: .seconds(60))[orders])
                #expect(report.reading.backlog.value == backlog, "\(policy) \(report.problem ?? "")")
                #expect(report.reading.published.value == 10)
                #expect(report.reading.acknowledged.value == nil)
            }
        }
    }

    @Test func `a partition that its member does not leave is stuck`() async throws {
        let server = try await KafkaServer.shared()
        let orders = try fresh()
        let settings = try configuration(server)
        let binder = KafkaBinder(configuration: settings)
        let source = BrokerSource(name: "kafka", KafkaInquiry(configuration: settings), stuckLimit: .milliseconds(500))
        try await beside(binder) {
            try await binder.prepare(group: orders.group, of: orders.destination)
            for number in 0..<3 { _ = try await binder.publish(Envelope(text: "\(number)"), to: orders.destination) }
            #expect(await source.read([orders], within: .seconds(60))[orders]?.stuck == [])
            try await binder.withSubscription(to: orders.destination, group: orders.group, options: SubscriptionOptions(prefetch: 1)) {
                deliveries in
                let held = try await deliveries.next()?.take()
                try await eventually(within: .seconds(60)) { await source.read([orders], within: .seconds(60))[orders]?.stuck == ["0"] }
                try await held?.settlement.settle(.accept)
                try await deliveries.next()?.accept()
                try await eventually(within: .seconds(60)) { await source.read([orders], within: .seconds(60))[orders]?.stuck == [] }
            }
        }
    }

    @Test func `a poll of many queues takes a request for each group and few besides`() async throws {
        let server = try await KafkaServer.shared()
        let proxy = try CountingProxy(to: server.port)
        let run = Identifier.random().prefix(8)
        let settings = try configuration(server) { $0.groupNaming = .group }
        let binder = KafkaBinder(configuration: settings)
        var queues: Set<DestinationGroup> = []
        for number in 0..<30 { queues.insert(try queue("many-\(run)-\(number)", "workers-\(run)-\(number % 3)")) }
        try await beside(binder) {
            for one in queues { try await binder.prepare(group: one.group, of: one.destination) }
        }
        var routed = settings
        let port = proxy.port
        routed.route = KafkaRoute { _, _ in port }
        let source = BrokerSource(name: "kafka", KafkaInquiry(configuration: routed))
        var polls: [[Int: Int]] = []
        for _ in 0..<4 {
            let before = proxy.kafkaRequests
            let reports = await source.read(queues, within: .seconds(60))
            for one in queues { #expect(reports[one]?.reading.backlog.value == 0, "\(one): \(reports[one]?.problem ?? "")") }
            polls.append(proxy.kafkaRequests.merging(before.mapValues { -$0 }, uniquingKeysWith: +).filter { $0.value != 0 })
        }
        // The first poll gets to know the cluster. A busy machine may ask for something again, but not once for each queue.
        polls.removeFirst()
        #expect(polls.contains { $0[9] == 3 && $0[2] == 2 }, "offsets of three groups and of topics: \(polls)")
        #expect(polls.allSatisfy { $0.values.reduce(0, +) < 24 }, "\(polls)")
        // For the addresses that are configured, for the broker itself, and for groups; some more where one was lost.
        #expect(proxy.connections <= 6)
    }

    @Test func `brokers that are away are unknown within the limit`() async throws {
        let orders = try fresh()
        let settings = try KafkaConfiguration(uri: "kafka://127.0.0.1:\(freePort())")
        let source = BrokerSource(name: "kafka", KafkaInquiry(configuration: settings))
        let report = await source.read([orders], within: .milliseconds(500))[orders]
        #expect(report?.reading == .unknown && report?.problem != nil)
    }
}
