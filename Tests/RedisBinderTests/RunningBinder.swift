import Lifecycle
import RedisBinder
import Streams
import Telemetry
import TestSupport

/// Runs `body` with a binder on the server, and ends the binder in order.
@discardableResult
func withBinder<R: Sendable>(
    _ server: RedisServer, log: Log = .silent, _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (RedisBinder) async throws -> R
) async throws -> R {
    var configuration = try RedisConfiguration(uri: server.uri)
    configuration.clientName = "test"
    configuration.backOff = .milliseconds(50)
    configuration.longestBackOff = .milliseconds(500)
    change(&configuration)
    return try await running(RedisBinder(configuration: configuration, log: log), body)
}
