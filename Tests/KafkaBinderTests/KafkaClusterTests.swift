import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.serialized, .enabled(if: KafkaServer.canStart, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(5)))
struct KafkaClusterTests {
    @Test func `of three brokers one is killed among 3,000 confirmed publishes: none is lost, and nobody is interrupted`() async throws {
        try await KafkaServer.with(nodes: 3, settings: ["min.insync.replicas=2"]) { server in
            try await withBinder(
                server,
                {
                    $0.replicationFactor = 3
                    $0.defaultPartitions = 3
                    $0.requestLimit = .seconds(20)  // three brokers on a small machine are slow, the killed one is noticed by its closed connection
                }
            ) { binder in
                let destination = try fresh()
                let group = try ConsumerGroup("workers")
                let confirmed = Tally<Set<String>>([])
                let received = Tally<Set<String>>([])
                let events = EventCollector()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { @Sendable in
                        let options = SubscriptionOptions(prefetch: 100, events: { events.add($0) })
                        try await binder.withSubscription(to: destination, group: group, options: options) { deliveries in
                            while let delivery = try await deliveries.next() {
                                let id = delivery.envelope.id
                                try? await delivery.accept()
                                received.change { $0.insert(id) }
                            }
                        }
                    }
                    try await eventually(within: .seconds(60), "ready") { events.all.contains(.ready) }
                    let publishing = Task {
                        try await withThrowingTaskGroup(of: Void.self) { publishers in
                            for publisher in 0..<20 {
                                publishers.addTask {
                                    for number in 0..<150 {
                                        while true {
                                            do throws(BinderError) {
                                                let receipt = try await binder.publish(
                                                    Envelope(text: "\(publisher)-\(number)"), to: destination)
                                                confirmed.change { $0.insert(receipt.id) }
                                                break
                                            } catch { guard error.isRetriable else { throw error } }
                                        }
                                    }
                                }
                            }
                            while try await publishers.next() != nil {}
                        }
                    }
                    try await eventually(within: .seconds(60), "1,000 confirmed") { confirmed.now.count >= 1000 }
                    try await server.kill(node: 2)
                    try await publishing.value
                    try await eventually(within: .seconds(90), "all confirmed events received") { confirmed.now.isSubset(of: received.now) }
                    tasks.cancelAll()
                }
                #expect(confirmed.now.count == 3000)
                #expect(events.all == [.ready])
                #expect(binder.readiness.isReady)
            }
        }
    }
}
