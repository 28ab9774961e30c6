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
                }
            ) { binder in
                let load = try ConfirmedLoad(binder, count: 3000, readyWithin: .seconds(60), limit: .seconds(90))
                try await load.run(troubledAt: [1.0 / 3]) { try await server.kill(node: 2) }
                #expect(load.confirmed.now.count == 3000)
                #expect(load.events.all == [.ready])
                #expect(binder.readiness.isReady)
            }
        }
    }
}
