import RabbitMQBinder
import Streams
import TestSupport
import Testing

@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(8)))
struct RabbitMQConformanceTests {
    /// What RabbitMQ cannot do, so that a case which needs it is skipped by name.
    private static let runnable = BinderCases.all.filter { one in
        let missing = one.missing(RabbitMQBinder(configuration: RabbitMQConfiguration(addresses: [])))
        if !missing.isEmpty { print("RabbitMQ skips case \(one): the broker lacks capability \(missing.rawValue)") }
        return missing.isEmpty
    }

    @Test(arguments: runnable) func `RabbitMQ passes every case`(_ one: BinderCase) async throws {
        var configuration = try RabbitMQConfiguration(uri: try await RabbitMQServer.shared().uri)
        configuration.largestPayload = 1_000_000
        let ready = configuration
        let binder = RabbitMQBinder(configuration: ready)
        let peer = RabbitMQBinder(configuration: ready)
        let bench = BinderBench(binder: binder, peer: peer, oversized: 1_000_001, patience: .seconds(30)) {
            RabbitMQBinder(configuration: ready)
        }
        try await BinderBench.withRunning(binder) { try await BinderBench.withRunning(peer) { try await one.run(bench) } }
    }
}
