import Bus
import Lifecycle
import Locking
import Streams
import TestSupport

/// Runs buses over one binder while `body` runs, each subscribed before it begins.
func withBuses<Result: Sendable>(
    _ ids: [String], over binder: any Binder, handlerLimit: Duration = .seconds(60),
    prepare: @Sendable (EventBus) -> Void = { _ in }, _ body: ([EventBus]) async throws -> Result
) async throws -> Result {
    var configuration = EventBus.Configuration()
    configuration.reportInterval = nil
    configuration.handlerLimit = handlerLimit
    var buses: [EventBus] = []
    for id in ids {
        let bus = EventBus(id: try BusID(id), binder: binder, configuration: configuration)
        prepare(bus)
        buses.append(bus)
    }
    let shutdown = ShutdownSignal()
    return try await withThrowingTaskGroup(of: Void.self) { group in
        for bus in buses { group.addTask { try await bus.run(ServiceLife(shutdown: shutdown)) } }
        do {
            try await eventually("the buses are subscribed") { buses.allSatisfy(\.readiness.isReady) }
            let result = try await body(buses)
            shutdown.request()
            try await group.waitForAll()
            return result
        } catch {
            shutdown.request()
            throw error
        }
    }
}

/// Collects values from any task.
final class Collected<Value: Sendable>: Sendable {
    private let values = Locked<[Value]>([])
    var all: [Value] { values.withLock { $0 } }
    var count: Int { values.withLock { $0.count } }
    func add(_ value: Value) { values.withLock { $0.append(value) } }
}
