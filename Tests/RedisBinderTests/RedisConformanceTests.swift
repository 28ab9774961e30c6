import RedisBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(10)))
struct RedisConformanceTests {
    private static let password = "secret"

    @Test func `Redis passes every case`() async throws {
        // One of its own, which cases stop and fill. What it has confirmed survives its kill only when it is written at once.
        try await RedisServer.with(["--requirepass", Self.password, "--appendfsync", "always"]) { server in
            var configuration = try RedisConfiguration(uri: server.uri)
            configuration.password = Self.password
            configuration.largestPayload = 1_000_000
            configuration.lease = .seconds(4)
            configuration.connectLimit = .seconds(3)
            configuration.replyLimit = .seconds(3)
            configuration.publishLimit = .seconds(5)
            configuration.backOff = .milliseconds(20)
            configuration.longestBackOff = .milliseconds(300)
            let bench = Self.bench(server, configuration)
            let binder = RedisBinder(configuration: configuration)
            let peer = RedisBinder(configuration: configuration)
            let report = try await BinderBench.withRunning(binder) {
                try await BinderBench.withRunning(peer) {
                    await ConformanceRun().report(of: "redis", capabilities: binder.capabilities) { _ in bench(binder, peer) }
                }
            }
            print(report.line)
            for failure in report.failures { Issue.record("\(failure.summary)") }
            #expect(report.results.count == BinderCases.all.count)
        }
    }

    private static func bench(
        _ server: RedisServer, _ configuration: RedisConfiguration
    ) -> @Sendable (RedisBinder, RedisBinder) -> BinderBench {
        @Sendable func proxied(password: String) throws -> ProxiedBinder {
            let proxy = try FaultProxy()
            var changed = configuration
            changed.addresses = [.init(host: "127.0.0.1", port: try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: server.port)))]
            changed.password = password
            return ProxiedBinder(binder: RedisBinder(configuration: changed), proxy: proxy)
        }
        var variants = BinderVariants()
        variants.proxied = { try proxied(password: password) }
        variants.refused = { try proxied(password: BinderVariants.wrongPassword) }
        variants.partitioned = { destination, count in
            var changed = configuration
            changed.partitions = [destination.name: count]
            return RedisBinder(configuration: changed)
        }
        var control = BrokerControl()
        control.restart = {
            try await server.kill()
            try await server.start()
        }
        control.block = { _ in try await server.command("-a", password, "CONFIG", "SET", "maxmemory", "1") }
        control.unblock = { _ in try await server.command("-a", password, "CONFIG", "SET", "maxmemory", "0") }
        let tools = (variants, control)
        return { binder, peer in
            BinderBench(
                binder: binder, peer: peer, oversized: 1_000_001, times: BenchTimes(claim: .seconds(4)), variants: tools.0,
                control: tools.1, fresh: { RedisBinder(configuration: configuration) })
        }
    }
}
