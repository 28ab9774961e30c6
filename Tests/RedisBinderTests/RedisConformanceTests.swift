import RedisBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RedisServer.isInstalled, "\(RedisServer.whyNot)"), .timeLimit(.minutes(8)))
struct RedisConformanceTests {
    /// What Redis cannot do, so that a case which needs it is skipped by name.
    private static let runnable = BinderCases.all.filter { one in
        let missing = one.missing(RedisBinder(configuration: RedisConfiguration(addresses: [])))
        if !missing.isEmpty { print("Redis skips case \(one): the binder lacks capability \(missing.rawValue)") }
        return missing.isEmpty
    }

    @Test(arguments: runnable) func `Redis passes every case`(_ one: BinderCase) async throws {
        let server = try await RedisServer.shared()
        var configuration = try RedisConfiguration(uri: server.uri)
        configuration.largestPayload = 1_000_000
        configuration.lease = .seconds(6)
        let ready = configuration
        let binder = RedisBinder(configuration: ready)
        let peer = RedisBinder(configuration: ready)
        let times = BenchTimes(patience: .seconds(30), detection: .seconds(8), publishLimit: .seconds(5), claim: .seconds(6))
        let bench = BinderBench(
            binder: binder, peer: peer, oversized: 1_000_001, times: times, variants: Self.variants(server, ready, times)
        ) {
            RedisBinder(configuration: ready)
        }
        try await BinderBench.withRunning(binder) { try await BinderBench.withRunning(peer) { try await one.run(bench) } }
    }

    private static func variants(_ server: RedisServer, _ ready: RedisConfiguration, _ times: BenchTimes) -> BinderVariants {
        let port = server.port
        var variants = BinderVariants()
        let proxied: @Sendable (String?) throws -> ProxiedBinder = { password in
            let proxy = try FaultProxy()
            var configuration = ready
            configuration.addresses = [.init(host: "127.0.0.1", port: try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: port)))]
            if let password {
                configuration.user = "nobody"
                configuration.password = password
            }
            configuration.replyLimit = .seconds(3)
            configuration.connectLimit = .seconds(3)
            configuration.publishLimit = times.publishLimit
            configuration.backOff = .milliseconds(50)
            configuration.longestBackOff = .milliseconds(500)
            return ProxiedBinder(binder: RedisBinder(configuration: configuration), proxy: proxy)
        }
        variants.proxied = { try proxied(nil) }
        // The server asks for no password: naming a user that it does not have is refused all the same.
        variants.refused = { try proxied("wrong") }
        variants.partitioned = { destination, count in
            var configuration = ready
            configuration.partitions = [destination.name: count]
            return RedisBinder(configuration: configuration)
        }
        return variants
    }
}
