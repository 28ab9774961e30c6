import KafkaBinder
import RabbitMQBinder
import RedisBinder
import Streams
import TestSupport

/// A real broker that servers share.
enum SharedBroker: String, CaseIterable, Sendable {
    case redis, rabbitMQ, kafka

    /// Those that can be started here.
    static let here = allCases.filter { broker in
        switch broker {
        case .redis: RedisServer.isInstalled
        case .rabbitMQ: RabbitMQServer.isInstalled
        case .kafka: KafkaServer.canStart
        }
    }
    /// For `.enabled(if:)`.
    static let whyNone = [RedisServer.whyNot, RabbitMQServer.whyNot, KafkaServer.whyNot].joined(separator: "; ")

    /// One that runs, with what a test does to it.
    struct Running: Sendable {
        /// Another server's connection to it, quick to try again.
        var binder: @Sendable () throws -> any Binder
        /// As a crash does; the data stays.
        var kill: @Sendable () async throws -> Void
        /// Returns when it answers.
        var start: @Sendable () async throws -> Void
    }

    /// Runs `body` with a broker of its own and removes it afterwards.
    func with(_ body: (Running) async throws -> Void) async throws {
        switch self {
        case .redis:
            try await RedisServer.with { server in
                try await body(
                    Running(
                        binder: {
                            var configuration = try RedisConfiguration(uri: server.uri)
                            configuration.backOff = .milliseconds(50)
                            configuration.longestBackOff = .milliseconds(500)
                            return RedisBinder(configuration: configuration)
                        }, kill: { try await server.kill() }, start: { try await server.start() }))
            }
        case .rabbitMQ:
            try await RabbitMQServer.with { server in
                try await body(
                    Running(
                        binder: {
                            var configuration = try RabbitMQConfiguration(uri: server.uri)
                            configuration.backOff = .milliseconds(50)
                            configuration.longestBackOff = .milliseconds(500)
                            return RabbitMQBinder(configuration: configuration)
                        }, kill: { try await server.kill() }, start: { try await server.start() }))
            }
        case .kafka:
            try await KafkaServer.with { server in
                try await body(
                    Running(
                        binder: {
                            var configuration = try KafkaConfiguration(uri: "kafka://\(server.bootstrap)")
                            configuration.backOff = .milliseconds(50)
                            configuration.longestBackOff = .milliseconds(500)
                            return KafkaBinder(configuration: configuration)
                        }, kill: { try await server.kill() }, start: { try await server.start() }))
            }
        }
    }
}
