package import Lifecycle
import Locking
package import Telemetry

/// The bindings of a process: functions attached to destinations, each of which can be stopped, started, paused and resumed by itself while
/// the others go on. Any binding can be started again, also one without a group.
package final class Bindings: Service {
    private struct Input {
        let consumers: [any EventConsumer]
        let binder: any Binder
        var state = BindingView.State.stopped
        var gate = FetchGate()
        /// Requested when the run that `gate` belongs to has ended.
        var ended = ShutdownSignal()
        /// Why a consumer has no position on the broker, by its place in `consumers`.
        var waiting: [Int: String] = [:]
        /// The failure that has stopped it.
        var stoppedBy: String?

        var waitingFor: String? {
            state == .stopped ? stoppedBy.map { "stopped by a failure: \($0)" } : waiting.min { $0.key < $1.key }?.value
        }
    }
    private struct State {
        var inputs: [String: Input] = [:]
        var outputs: [String: BindingView] = [:]
        var providers: [@Sendable () -> [BindingView]] = []
        var isRunning = false
    }
    private let state = Locked(State())
    private let starts: AsyncStream<String>
    private let startInput: AsyncStream<String>.Continuation
    private let log: Log
    package let name = "bindings"

    package init(log: Log = .silent) {
        self.log = log
        // Bounded by the number of bindings that can be started; a start is only taken when none is under way.
        (starts, startInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(10_000))
    }

    /// Adds an input. It starts with the service (or at once, when that runs), unless `startsByItself` is false. Throws `.conflict` when the
    /// name is taken.
    package func add(
        _ name: String, _ consumer: any EventConsumer, over binder: any Binder, startsByItself: Bool = true
    ) throws(BindingError) {
        try add(name, [consumer], over: binder, startsByItself: startsByItself)
    }

    /// Adds an input of several subscriptions, such as several destinations or partitions, that are started and stopped together. There must
    /// be at least one, and all of the same group.
    package func add(
        _ name: String, _ consumers: [any EventConsumer], over binder: any Binder, startsByItself: Bool = true
    ) throws(BindingError) {
        let taken = state.withLock { state in
            guard state.inputs[name] == nil, state.outputs[name] == nil else { return true }
            state.inputs[name] = Input(consumers: consumers, binder: binder)
            return false
        }
        if taken { throw BindingError(.conflict, "there is a binding \(name) already") }
        if startsByItself { try start(name) }
    }

    /// Lists an output: whoever publishes to `destination` does so by itself.
    package func add(output name: String, to destination: Destination, over binder: any Binder) throws(BindingError) {
        let taken = state.withLock { state in
            guard state.inputs[name] == nil, state.outputs[name] == nil else { return true }
            state.outputs[name] = BindingView(
                binding: name, name: destination.name, group: nil, state: .running, isPausable: false, binder: binder.name, isInput: false)
            return false
        }
        if taken { throw BindingError(.conflict, "there is a binding \(name) already") }
    }

    /// Lists bindings that somebody else runs, such as those of the bus.
    package func show(_ provider: @escaping @Sendable () -> [BindingView]) { state.withLock { $0.providers.append(provider) } }

    /// All bindings, sorted by name.
    package var views: [BindingView] {
        let (inputs, outputs, providers) = state.withLock { ($0.inputs, $0.outputs, $0.providers) }
        let own = inputs.map { name, input in
            BindingView(
                binding: name, name: Self.names(of: input.consumers), group: input.consumers.first?.group?.name, state: input.state,
                isPausable: true, binder: input.binder.name, isInput: true, waitingFor: input.waitingFor)
        }
        return (own + outputs.values + providers.flatMap { $0() }).sorted { $0.binding < $1.binding }
    }

    /// The destinations, each once, in order.
    private static func names(of consumers: [any EventConsumer]) -> String {
        var names: [String] = []
        for name in consumers.map(\.destination.name) where !names.contains(name) { names.append(name) }
        return names.joined(separator: ",")
    }

    package func view(_ name: String) throws(BindingError) -> BindingView {
        guard let view = views.first(where: { $0.binding == name }) else { throw unknown(name) }
        return view
    }

    /// Throws `.conflict` when it is started already.
    package func start(_ name: String) throws(BindingError) {
        let refusal: BindingError? = state.withLock { state in
            guard let input = state.inputs[name] else { return unknown(name) }
            guard input.state == .stopped, !input.gate.isClosed || input.ended.isRequested else {
                return BindingError(.conflict, "the binding \(name) is \(input.state == .stopped ? "still ending" : input.state.rawValue)")
            }
            state.inputs[name]?.state = .running
            state.inputs[name]?.gate = FetchGate()
            state.inputs[name]?.ended = ShutdownSignal()
            state.inputs[name]?.stoppedBy = nil
            state.inputs[name]?.waiting = Dictionary(uniqueKeysWithValues: input.consumers.indices.map { ($0, "starting") })
            return nil
        }
        if let refusal { throw refusal }
        startInput.yield(name)
    }

    /// Takes no further event, and returns when those in hand are ended. Does nothing when it is stopped.
    package func stop(_ name: String) async throws(BindingError) {
        let found: (gate: FetchGate, ended: ShutdownSignal, wait: Bool)? = state.withLock { state in
            guard let input = state.inputs[name] else { return nil }
            state.inputs[name]?.state = .stopped
            state.inputs[name]?.stoppedBy = nil
            return (input.gate, input.ended, input.state != .stopped && state.isRunning)
        }
        guard let found else { throw unknown(name) }
        found.gate.close()
        if found.wait { await found.ended.wait() }
    }

    /// Takes no further event until `resume`; the subscription stays, and what the broker has already handed out waits. Throws `.conflict`
    /// unless the binding runs.
    package func pause(_ name: String) throws(BindingError) { try turn(name, from: .running, to: .paused) { $0.pause() } }

    /// Throws `.conflict` unless the binding is paused.
    package func resume(_ name: String) throws(BindingError) { try turn(name, from: .paused, to: .running) { $0.resume() } }

    private func turn(
        _ name: String, from: BindingView.State, to: BindingView.State, _ act: (FetchGate) -> Void
    ) throws(BindingError) {
        let result: Result<FetchGate, BindingError> = state.withLock { state in
            guard let input = state.inputs[name] else { return .failure(unknown(name)) }
            guard input.state == from else {
                return .failure(BindingError(.conflict, "the binding \(name) is \(input.state.rawValue), not \(from.rawValue)"))
            }
            state.inputs[name]?.state = to
            return .success(input.gate)
        }
        act(try result.get())
    }

    private func unknown(_ name: String) -> BindingError { BindingError(.unknown, "there is no binding \(name)") }

    /// Ready when every binding that runs has its position on the broker, and none was stopped by a failure.
    package var readiness: Readiness {
        let waiting = state.withLock { state in
            state.inputs.filter { $0.value.waitingFor != nil }
                .min { $0.key < $1.key }.map { "\($0.key): \($0.value.waitingFor ?? "")" }
        }
        return waiting.map(Readiness.waiting) ?? .ready
    }

    /// Runs the bindings until shutdown; then no further event is taken and those in hand are ended.
    package func run(_ life: ServiceLife) async throws {
        state.withLock { $0.isRunning = true }
        life.started()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await life.untilShutdown()
                self.startInput.finish()
            }
            for await name in starts { group.addTask { await self.run(name, life.shutdown) } }
            for gate in state.withLock({ $0.inputs.values.map(\.gate) }) { gate.close() }
            await group.waitForAll()
        }
        state.withLock { state in
            state.isRunning = false
            for name in state.inputs.keys { state.inputs[name]?.state = .stopped }
        }
    }

    private func run(_ name: String, _ shutdown: ShutdownSignal) async {
        guard let input = state.withLock({ $0.inputs[name] }) else { return }
        defer { input.ended.request() }
        await withTaskGroup(of: Void.self) { group in
            for index in input.consumers.indices { group.addTask { await self.run(index, of: input, name, shutdown) } }
            await group.waitForAll()
        }
    }

    private func run(_ index: Int, of input: Input, _ name: String, _ shutdown: ShutdownSignal) async {
        var backOff = BackOff(first: .milliseconds(500), longest: .seconds(15))
        while !input.gate.isClosed, !shutdown.isRequested, !Task.isCancelled {
            let stood = ShutdownSignal()
            do {
                try await input.consumers[index].run(over: input.binder, gate: input.gate) {
                    stood.request()
                    self.set(name, index, waitingFor: nil)
                }
                set(name, index, waitingFor: "the subscription has ended")
            } catch let stopped as ConsumerStopped {
                log.error("a binding is stopped by a failure", ["binding": name, "error": stopped.description])
                state.withLock { state in
                    state.inputs[name]?.state = .stopped
                    state.inputs[name]?.stoppedBy = stopped.description
                }
                return
            } catch {
                if Task.isCancelled { return }
                set(name, index, waitingFor: "\(error)")
                log.warning("a binding has no subscription; trying again", ["binding": name, "error": "\(error)"])
            }
            if input.gate.isClosed || shutdown.isRequested { return }
            if stood.isRequested { backOff.reset() }
            await input.gate.closing.wait(atMost: backOff.next())
        }
    }

    private func set(_ name: String, _ index: Int, waitingFor: String?) {
        state.withLock { $0.inputs[name]?.waiting[index] = waitingFor }
    }
}
