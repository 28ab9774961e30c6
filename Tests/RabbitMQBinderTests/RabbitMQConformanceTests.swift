@testable import RabbitMQBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(10)))
struct RabbitMQConformanceTests {
    @Test func `RabbitMQ passes every case`() async throws {
        // Not the one that other suites share: cases stop it, and fill its memory.
        let server = try await RabbitMQServer.shared("conformance")
        var configuration = try RabbitMQConfiguration(uri: server.uri)
        configuration.largestPayload = 1_000_000
        configuration.heartbeat = .seconds(2)
        configuration.connectLimit = .seconds(3)
        configuration.publishLimit = .seconds(5)
        configuration.backOff = .milliseconds(20)
        configuration.longestBackOff = .milliseconds(300)
        let bench = Self.bench(server, configuration)
        let binder = RabbitMQBinder(configuration: configuration)
        let peer = RabbitMQBinder(configuration: configuration)
        let report = try await BinderBench.withRunning(binder) {
            try await BinderBench.withRunning(peer) {
                await ConformanceRun().report(of: "rabbitmq", capabilities: binder.capabilities) { _ in bench(binder, peer) }
            }
        }
        print(report.line)
        for failure in report.failures { Issue.record("\(failure.summary)") }
        #expect(report.results.count == BinderCases.all.count)
    }

    private static func bench(
        _ server: RabbitMQServer, _ configuration: RabbitMQConfiguration
    ) -> @Sendable (RabbitMQBinder, RabbitMQBinder) -> BinderBench {
        @Sendable func changed(_ change: (inout RabbitMQConfiguration) throws -> Void) rethrows -> RabbitMQBinder {
            var changed = configuration
            try change(&changed)
            return RabbitMQBinder(configuration: changed)
        }
        @Sendable func proxied(password: String) throws -> ProxiedBinder {
            let proxy = try FaultProxy()
            let binder = try changed {
                $0.addresses = [.init(host: "127.0.0.1", port: try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: server.port)))]
                $0.password = password
            }
            return ProxiedBinder(binder: binder, proxy: proxy)
        }
        var variants = BinderVariants()
        variants.proxied = { try proxied(password: configuration.password) }
        variants.refused = { try proxied(password: BinderVariants.wrongPassword) }
        variants.partitioned = { destination, count in changed { $0.partitions = [destination.name: count] } }
        variants.mandatory = { changed { $0.mandatory = true } }
        variants.bounded = { destination, group, limit in
            try await server.control(
                "set_policy", destination.name, "^\(destination.name).\(group.name)$",
                "{\"max-length\":\(limit),\"overflow\":\"reject-publish\"}", "--apply-to", "queues")
            return changed { _ in }
        }
        variants.disagreeing = {
            let prefix = "case-\(Identifier.random().prefix(8))."
            let binder = changed { $0.prefix = prefix }
            // The exchange of the dead letters is a direct one; as that of a destination it would be a topic.
            try await BinderBench.withBinder(changed { $0.prefix = prefix }) { other in
                try await other.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
            }
            return (binder, try Destination("DLX"), ["'topic'", "'direct'"])
        }
        var control = BrokerControl()
        control.keepDeclarations = { try await server.writeDeclarations() }
        control.restart = {
            try await server.kill()
            try await server.start()
        }
        control.block = { _ in try await server.control("set_vm_memory_high_watermark", "0") }
        control.unblock = { _ in try await server.control("set_vm_memory_high_watermark", "0.4") }
        let tools = (variants, control)
        return { binder, peer in
            BinderBench(
                binder: binder, peer: peer, oversized: 1_000_001, times: BenchTimes(idle: .seconds(7)), variants: tools.0, control: tools.1,
                fresh: { RabbitMQBinder(configuration: configuration) })
        }
    }
}
