import Foundation
import TestSupport
import Testing

/// The main job over every broker, with the built program: a commit reaches every instance, wherever it is.
@Suite(.serialized, .timeLimit(.minutes(5))) struct BrokerTests {
    enum Broker: String, CaseIterable {
        case rabbitmq, kafka, redis

        static let available = allCases.filter { broker in
            let missing: String? =
                switch broker {
                case .rabbitmq: RabbitMQServer.isInstalled ? nil : RabbitMQServer.whyNot
                case .kafka: KafkaServer.canStart ? nil : KafkaServer.whyNot
                case .redis: RedisServer.isInstalled ? nil : RedisServer.whyNot
                }
            if let missing { print("no propagation over \(broker): \(missing)") }
            return missing == nil
        }

        /// A broker that nobody else has a bus on.
        func uri() async throws -> String {
            switch self {
            case .rabbitmq: try await RabbitMQServer.shared("bus").uri
            case .kafka: "kafka://\(try await KafkaServer.shared("bus").bootstrap)"
            case .redis: try await RedisServer.shared().uri
            }
        }
    }

    /// Runs an agent that writes the configuration into a file, on the broker.
    private func withAgent<R>(_ name: String, on broker: String, _ url: String, _ folder: TemporaryFolder, _ body: () async throws -> R)
        async throws
        -> R
    {
        let arguments = [
            "agent", "--server", url, "--binder", broker, "--app", "orders", "--instance", name, "--cache", "\(folder.path)/\(name)",
            "--poll", "0", "--env-file", "\(folder.path)/\(name).env", "--on-change", "rewrite",
        ]
        return try await Running.with(arguments) { _ in try await body() }
    }

    private func expect(_ count: Int, at version: String, _ url: String) async throws {
        let status = try await Running.run(
            ["status", "--server", url, "--version", version, "--count", "\(count)", "--wait", "90s"], within: .seconds(120))
        #expect(status.code == 0, "\(status)")
        #expect(status.output.hasSuffix("\(count) of \(count) instances run \(version)\n"))
    }

    private func greeting(_ name: String, _ folder: TemporaryFolder) throws -> String {
        try String(contentsOfFile: "\(folder.path)/\(name).env", encoding: .utf8)
    }

    @Test(arguments: Broker.available)
    func `a commit reaches the instances on the broker`(_ broker: Broker) async throws {
        let uri = try await broker.uri()
        try await TemporaryFolder.with { folder in
            let first = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
            try await PropagationTests.withServer(folder, arguments: ["--binder", uri]) { _, url in
                try await withAgent("w1", on: uri, url, folder) {
                    try await withAgent("w2", on: uri, url, folder) {
                        try await expect(2, at: first, url)
                        let second = try folder.commit(in: "config", ["orders.yml": "greeting: goodbye\n"])
                        try await expect(2, at: second, url)
                        for name in ["w1", "w2"] { #expect(try greeting(name, folder).contains("goodbye")) }
                    }
                }
            }
        }
    }

    @Test(.enabled(if: available.count > 1, "a bridge needs two brokers"))
    func `a server with a bridge knows the instances on both brokers, and a commit reaches all of them`() async throws {
        let (old, new) = (try await Self.available[0].uri(), try await Self.available[Self.available.count - 1].uri())
        try await TemporaryFolder.with { folder in
            let first = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
            try await PropagationTests.withServer(folder, arguments: ["--binder", old, "--bridge", new]) { server, url in
                try await withAgent("w1", on: old, url, folder) {
                    try await withAgent("w2", on: new, url, folder) {
                        try await expect(2, at: first, url)
                        let second = try folder.commit(in: "config", ["orders.yml": "greeting: goodbye\n"])
                        try await expect(2, at: second, url)
                        for name in ["w1", "w2"] { #expect(try greeting(name, folder).contains("goodbye")) }
                        let health = try await Running.shell("curl -s \"$1/health/ready\"", [url])
                        #expect(health.contains("\"bridge\":{\"status\":\"UP\"}"))
                        let metrics = try await Running.shell("curl -s \"$1/metrics\" | grep carillon_bridge_messages_total", [url])
                        #expect(metrics.contains("what=\"carried\""))
                        #expect(!server.errors.contains("guest:guest"))
                    }
                }
            }
        }
    }

    private static let available = Broker.available
}
