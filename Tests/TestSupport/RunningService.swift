package import Lifecycle
package import Streams

/// A service that runs beside a test.
package struct RunningService: Sendable {
    /// Given by a test that wants to see the end.
    package let shutdown = ShutdownSignal()
    package let ended = ShutdownSignal()
    package let task: Task<Void, any Error>

    /// Returns when it has started, or has failed to.
    package init(_ service: any Service) async {
        let started = ShutdownSignal()
        task = Task { [shutdown, ended] in
            defer {
                started.request()
                ended.request()
            }
            try await service.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
        }
        await started.wait()
    }

    /// Asks it to end and waits until it has.
    package func end() async throws {
        shutdown.request()
        try await task.value
    }

    /// Runs `body` beside a service that has started, then asks it to end and waits until it has.
    package static func with<R: Sendable>(_ service: any Service, _ body: (RunningService) async throws -> R) async throws -> R {
        let running = await RunningService(service)
        let result: Result<R, any Error>
        do { result = .success(try await body(running)) } catch { result = .failure(error) }
        try await running.end()
        return try result.get()
    }
}

/// Runs `body` with a service that runs beside it, and ends the service in order.
@discardableResult
package func running<S: Service, R: Sendable>(_ service: S, _ body: (S) async throws -> R) async throws -> R {
    try await RunningService.with(service) { _ in try await body(service) }
}

/// A destination that no other test uses.
package func fresh(_ name: String = "orders") throws -> Destination { try Destination("\(name)-\(Identifier.random().prefix(8))") }
