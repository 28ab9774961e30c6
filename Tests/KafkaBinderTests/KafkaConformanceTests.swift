import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.enabled(if: KafkaServer.isAvailable, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(10)))
struct KafkaConformanceTests {
    /// What Kafka cannot do, so that a case which needs it is skipped by name.
    private static let runnable = BinderCases.all.filter { one in
        let missing = one.missing(KafkaBinder(configuration: KafkaConfiguration(addresses: [])))
        if !missing.isEmpty { print("Kafka skips case \(one): the broker lacks capability \(missing.rawValue)") }
        return missing.isEmpty
    }

    @Test(arguments: runnable) func `Kafka passes every case`(_ one: BinderCase) async throws {
        // Members of a group share by partitions: cases that look at several members need several.
        let partitions = ["A6", "B2", "B5", "D1"].contains(one.id) ? 4 : 1
        let ready = try configuration(try await KafkaServer.shared()) { $0.defaultPartitions = partitions }
        let binder = KafkaBinder(configuration: ready)
        let peer = KafkaBinder(configuration: ready)
        let bench = BinderBench(binder: binder, peer: peer, oversized: 1_000_001, patience: .seconds(60)) {
            KafkaBinder(configuration: ready)
        }
        try await BinderBench.withRunning(binder) { try await BinderBench.withRunning(peer) { try await one.run(bench) } }
    }
}
