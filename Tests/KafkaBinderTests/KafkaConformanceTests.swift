import Lifecycle
import Streams
import TestSupport
import Testing

@testable import KafkaBinder

@Suite(.enabled(if: KafkaServer.isAvailable, "\(KafkaServer.whyNot)"), .timeLimit(.minutes(12)))
struct KafkaConformanceTests {
    @Test func `Kafka passes every case`() async throws {
        // Not the one that other suites share: cases stop it.
        let server = try await KafkaServer.shared("conformance")
        let one = try configuration(server, Self.impatient)
        var several = one
        several.defaultPartitions = 4
        let (binder, peer) = (KafkaBinder(configuration: one), KafkaBinder(configuration: one))
        let (wide, widePeer) = (KafkaBinder(configuration: several), KafkaBinder(configuration: several))
        let bench = Self.bench(server)
        let narrowBench = bench(one, binder, peer)
        let wideBench = bench(several, wide, widePeer)
        let report = try await BinderBench.withService(ServiceGroup([binder, peer, wide, widePeer])) {
            await ConformanceRun().report(of: "kafka", capabilities: binder.capabilities) { one in
                BinderCases.sharing.contains(one.id) ? wideBench() : narrowBench()
            }
        }
        print(report.line)
        for failure in report.failures { Issue.record("\(failure.summary)") }
        #expect(report.results.count == BinderCases.all.count)
    }

    @Sendable private static func impatient(_ configuration: inout KafkaConfiguration) {
        configuration.requestLimit = .seconds(4)
        configuration.publishLimit = .seconds(8)
        configuration.sessionLimit = .seconds(10)
        configuration.largestPayload = 1_000_000
    }

    private static func bench(
        _ server: KafkaServer
    ) -> @Sendable (KafkaConfiguration, KafkaBinder, KafkaBinder) -> (@Sendable () -> BinderBench) {
        { configuration, binder, peer in
            var variants = BinderVariants()
            variants.proxied = {
                let proxy = try FaultProxy()
                var changed = configuration
                changed.route = KafkaRoute { address, port in try? proxy.port(to: BrokerAddress(host: address, port: port)) }
                return ProxiedBinder(binder: KafkaBinder(configuration: changed), proxy: proxy)
            }
            variants.partitioned = { destination, count in
                var changed = configuration
                changed.partitions = [destination.name: count]
                changed.addsPartitions = true
                return KafkaBinder(configuration: changed)
            }
            var control = BrokerControl()
            if KafkaServer.canStart {
                control.restart = {
                    try await server.kill()
                    try await server.start()
                }
            }
            let tools = (variants, control)
            return {
                BinderBench(
                    binder: binder, peer: peer, oversized: 1_000_001,
                    times: BenchTimes(
                        patience: .seconds(60), detection: .seconds(10), publishLimit: .seconds(8), claim: .seconds(10),
                        destinations: 100, members: 12), variants: tools.0, control: tools.1,
                    lacking: .credentials,  // a cluster of tests asks nobody who he is
                    fresh: { KafkaBinder(configuration: configuration) })
            }
        }
    }
}
