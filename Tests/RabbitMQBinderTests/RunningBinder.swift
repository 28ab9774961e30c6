import Lifecycle
@testable import RabbitMQBinder
import Streams
import Telemetry
import TestSupport

/// Runs `body` with a binder on the broker, and ends the binder in order.
@discardableResult
func withBinder<R: Sendable>(
    _ server: RabbitMQServer, log: Log = .silent, _ change: (inout RabbitMQConfiguration) -> Void = { _ in },
    _ body: (RabbitMQBinder) async throws -> R
) async throws -> R {
    var configuration = try RabbitMQConfiguration(uri: server.uri)
    configuration.connectionName = "test"
    configuration.backOff = .milliseconds(50)
    change(&configuration)
    return try await running(RabbitMQBinder(configuration: configuration, log: log), body)
}
