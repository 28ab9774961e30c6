/// A long-lived part of the program.
package protocol Service: Sendable {
    /// Shown in logs and errors.
    var name: String { get }

    /// Runs until it has ended by itself, `life.shutdown` was asked for and the work in hand is done, or the task was cancelled.
    ///
    /// Calls `life.started()` once it does what others rely on; the next service of the group starts only then. An error ends the whole group.
    func run(_ life: ServiceLife) async throws
}

/// What a group tells a service, and a service its group.
package struct ServiceLife: Sendable {
    private let onStarted: @Sendable () -> Void
    /// Asked for when the service is to end its work and return.
    package let shutdown: ShutdownSignal

    package init(shutdown: ShutdownSignal = ShutdownSignal(), onStarted: @escaping @Sendable () -> Void = {}) {
        self.shutdown = shutdown
        self.onStarted = onStarted
    }

    /// Tells the group that this service works; calling it again does nothing.
    package func started() { onStarted() }

    /// Waits until shutdown is asked for or the task is cancelled.
    package func untilShutdown() async { await shutdown.wait() }

    /// Runs `body` and cancels it when shutdown is asked for. Returns nil if the body ended by that cancellation.
    package func cancelOnShutdown<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T? {
        try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                do { return try await body() } catch is CancellationError { return nil }
            }
            group.addTask {
                await shutdown.wait()
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            if first == nil, let late = try? await group.next() { return late }
            return first
        }
    }
}
