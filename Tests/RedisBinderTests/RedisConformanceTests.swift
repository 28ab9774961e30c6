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
        var configuration = try RedisConfiguration(uri: try await RedisServer.shared().uri)
        configuration.largestPayload = 1_000_000
        configuration.lease = .seconds(6)
        let ready = configuration
        let binder = RedisBinder(configuration: ready)
        let peer = RedisBinder(configuration: ready)
        let bench = BinderBench(binder: binder, peer: peer, oversized: 1_000_001, patience: .seconds(30)) {
            RedisBinder(configuration: ready)
        }
        try await BinderBench.withRunning(binder) { try await BinderBench.withRunning(peer) { try await one.run(bench) } }
    }
}
