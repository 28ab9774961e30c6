import Lifecycle
import LocalBinder
import Streams
import TestSupport

@testable import Functions

/// An app over an embedded broker, while a test runs.
struct Bench: Sendable {
    let app: FunctionApp
    let binder: LocalBinder

    /// Runs `body` beside the app, once all its bindings have their positions.
    static func with(
        inputs: [String: InputBinding], outputs: [String: OutputBinding] = [:], functions: [String] = [],
        _ register: (FunctionApp) -> Void, _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        var settings = FunctionSettings.binder("local:")
        settings.inputs = inputs.mapValues { binding in
            var binding = binding
            binding.backOff = .milliseconds(1)
            return binding
        }
        settings.outputs = outputs
        settings.functions = functions
        try await with(settings, register, body)
    }

    static func with(
        _ settings: FunctionSettings, binder: LocalBinder = LocalBinder(), _ register: (FunctionApp) -> Void,
        _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        let app = try FunctionApp(settings: settings, binders: ["": binder])
        register(app)
        let group = try app.group()
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown)) }
            defer { shutdown.request() }
            try await eventually { app.problem == nil }
            try await body(Bench(app: app, binder: binder))
            shutdown.request()
            try await tasks.next()
        }
    }

    func publish(_ texts: String..., to destination: String, key: String? = nil, headers: [String: HeaderValue] = [:]) async throws {
        for text in texts {
            let envelope = Envelope(text: text, contentType: nil, headers: headers, key: key)
            _ = try await binder.publish(envelope, to: Destination(destination))
        }
    }

    func deadLetters(_ destination: String, _ group: String) async throws -> [DeadLetter] {
        try await binder.deadLetters(of: Destination(destination), group: ConsumerGroup(group), limit: 100)
    }

    func backlog(_ destination: String, _ group: String) async throws -> Backlog {
        try await binder.backlog(of: Destination(destination), group: ConsumerGroup(group))
    }

    /// What was published to a destination, from its beginning.
    func taken(_ count: Int, from destination: String) async throws -> [Envelope] {
        try await binder.withSubscription(to: Destination(destination), group: nil, options: SubscriptionOptions(start: .earliest)) {
            deliveries in
            var envelopes: [Envelope] = []
            while envelopes.count < count, let delivery = try await deliveries.next() {
                envelopes.append(delivery.envelope)
                try await delivery.accept()
            }
            return envelopes
        }
    }
}
