import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct BindingsTests {
    private let destination = Destination(fixed: "orders")

    private func with(_ body: @escaping @Sendable (Bindings, LocalBinder) async throws -> Void) async throws {
        let binder = LocalBinder()
        let bindings = Bindings()
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
            tasks.addTask { try await bindings.run(ServiceLife(shutdown: shutdown)) }
            defer { shutdown.request() }
            try await body(bindings, binder)
        }
    }

    @Test func `a binding is stopped, started, paused and resumed while its state tells so`() async throws {
        try await with { [destination] bindings, binder in
            let seen = Recorded<String>()
            let group = try ConsumerGroup("workers")
            let consumer = Consumer(destination: destination, group: group) {
                seen.add(String(decoding: $0.envelope.payload, as: UTF8.self))
            }
            try bindings.add("orders-in-0", consumer, over: binder)
            try bindings.add(output: "orders-out-0", to: destination, over: binder)
            try await eventually { bindings.readiness.isReady }
            #expect(
                try bindings.view("orders-in-0")
                    == BindingView(
                        binding: "orders-in-0", name: "orders", group: "workers", state: .running, isPausable: true, binder: binder.name,
                        isInput: true))
            #expect(bindings.views.map(\.binding) == ["orders-in-0", "orders-out-0"])
            func publish(_ text: String) async throws { _ = try await binder.publish(Envelope(text: text), to: destination) }
            try await publish("a")
            try await eventually { seen.all == ["a"] }
            #expect(throws: BindingError.self) { try bindings.start("orders-in-0") }
            #expect(throws: BindingError.self) { try bindings.resume("orders-in-0") }

            try await bindings.stop("orders-in-0")
            #expect(try bindings.view("orders-in-0").state == .stopped)
            #expect(throws: BindingError.self) { try bindings.pause("orders-in-0") }
            try await publish("b")
            #expect(try await binder.backlog(of: destination, group: group).total == 1)
            try bindings.start("orders-in-0")
            try await eventually { seen.all == ["a", "b"] }

            try bindings.pause("orders-in-0")
            #expect(try bindings.view("orders-in-0").state == .paused)
            try bindings.resume("orders-in-0")
            try await publish("c")
            try await eventually { seen.all == ["a", "b", "c"] }
        }
    }

    @Test func `a name is given once, and an unknown one is told`() async throws {
        try await with { [destination] bindings, binder in
            let consumer = Consumer(destination: destination, group: nil) { _ in }
            try bindings.add("in", consumer, over: binder, startsByItself: false)
            #expect(throws: BindingError.self) { try bindings.add("in", consumer, over: binder) }
            #expect(throws: BindingError.self) { try bindings.start("out") }
            await #expect(throws: BindingError.self) { try await bindings.stop("out") }
            #expect(try bindings.view("in").state == .stopped)
        }
    }

    @Test func `a broadcast binding can be started again`() async throws {
        try await with { [destination] bindings, binder in
            let seen = Recorded<String>()
            let consumer = Consumer(destination: destination, group: nil) { seen.add(String(decoding: $0.envelope.payload, as: UTF8.self)) }
            try bindings.add("in", consumer, over: binder)
            for text in ["a", "b"] {
                try await eventually { bindings.readiness.isReady }
                _ = try await binder.publish(Envelope(text: text), to: destination)
                try await eventually { seen.all.last == text }
                try await bindings.stop("in")
                try bindings.start("in")
            }
            #expect(seen.all == ["a", "b"])
        }
    }

    @Test func `a failure whose policy is to stop stops the binding, says so, and the event waits for the next start`() async throws {
        try await with { [destination] bindings, binder in
            struct Broken: Error, CustomStringConvertible { let description = "broken" }
            let seen = Recorded<String>()
            let group = try ConsumerGroup("workers")
            let options = Consumer.Options(retry: RetryPolicy(attempts: 1), failure: .stop)
            let consumer = Consumer(destination: destination, group: group, options: options) { event in
                seen.add(String(decoding: event.envelope.payload, as: UTF8.self))
                if seen.all.count == 1 { throw Broken() }
            }
            try bindings.add("in", consumer, over: binder)
            try await eventually { bindings.readiness.isReady }
            for text in ["a", "b"] { _ = try await binder.publish(Envelope(text: text), to: destination) }
            try await eventually { try bindings.view("in").state == .stopped }
            #expect(try bindings.view("in").waitingFor == "stopped by a failure: broken")
            #expect(bindings.readiness == .waiting("in: stopped by a failure: broken"))
            try await eventually { (try? bindings.start("in")) != nil }
            try await eventually { seen.all == ["a", "a", "b"] }
            #expect(bindings.readiness.isReady)
        }
    }

    /// A subscription that stands and ends.
    private struct Brief: EventConsumer {
        let destination = Destination(fixed: "orders")
        let group: ConsumerGroup? = nil
        let runs: Counter
        func run(over binder: any Binder, gate: FetchGate, ready: @escaping @Sendable () -> Void) async throws {
            runs.add()
            ready()
        }
    }

    @Test func `after a subscription that stood the next one is not waited for longer and longer`() async throws {
        try await with { bindings, binder in
            let runs = Counter()
            try bindings.add("in", Brief(runs: runs), over: binder)
            // Growing, seven pauses would take 22 s at least.
            try await eventually(within: .seconds(15), "eight runs") { runs.value >= 8 }
        }
    }

    @Test func `a binding of several destinations is one, and ready when all are`() async throws {
        try await with { [destination] bindings, binder in
            let seen = Recorded<String>()
            let consumers = [destination, Destination(fixed: "returns")].map { destination in
                Consumer(destination: destination, group: nil) { _ in seen.add(destination.name) }
            }
            try bindings.add("in", consumers, over: binder)
            try await eventually { bindings.readiness.isReady }
            #expect(try bindings.view("in").name == "orders,returns")
            for consumer in consumers { _ = try await binder.publish(Envelope(text: "a"), to: consumer.destination) }
            try await eventually { Set(seen.all) == ["orders", "returns"] }
            try await bindings.stop("in")
            #expect(try bindings.view("in").state == .stopped)
        }
    }
}
