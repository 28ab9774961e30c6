import Lifecycle
import Locking
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

@discardableResult
func running<R: Sendable>(_ binder: RedisBinder, _ body: (RedisBinder) async throws -> R) async throws -> R {
    let shutdown = ShutdownSignal()
    let run = Task { try await binder.run(ServiceLife(shutdown: shutdown)) }
    let result: Result<R, any Error>
    do { result = .success(try await body(binder)) } catch { result = .failure(error) }
    shutdown.request()
    try await run.value
    return try result.get()
}

/// A destination that no other test uses.
func fresh(_ name: String = "orders") throws -> Destination { try Destination("\(name)-\(Identifier.random().prefix(8))") }

/// A value that several tasks of a test share.
final class Tally<Value: Sendable>: Sendable {
    private let value: Locked<Value>
    init(_ value: Value) { self.value = Locked(value) }
    var now: Value { value.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { value.withLock { body(&$0) } }
}
