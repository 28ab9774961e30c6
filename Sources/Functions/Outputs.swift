import Lifecycle
import Locking
import Streams
import Telemetry

/// Where results and what is sent goes: the outputs of the settings, and destinations that are only known at run time.
final class Outputs: Service {
    struct Output: Sendable {
        let name: String
        let destination: Destination
        let binder: any Binder
        var contentType: String?
        var partitioner: Partitioner?
        var partitionKey: OutputBinding.PartitionKey?
        var requiredGroups: [ConsumerGroup] = []
    }
    private struct State {
        /// Destinations that no output names, by name, with the number of their last use.
        var dynamic: [String: (output: Output, used: Int)] = [:]
        var uses = 0
        /// Outputs whose required groups exist.
        var prepared: Set<String> = []
    }

    /// The header of a result that names another destination, or output, than the function's own.
    static let destinationHeader = "spring.cloud.stream.sendto.destination"
    /// How many destinations that no output names are remembered; the one that was not used for longest is forgotten.
    static let dynamicLimit = 1000

    let name = "outputs"
    private let named: [String: Output]
    private let standard: any Binder
    private let log: Log
    private let metrics: Metrics
    private let state = Locked(State())

    /// `standard` is the broker of destinations that no output names.
    init(_ named: [String: Output], standard: any Binder, log: Log, metrics: Metrics) {
        self.named = named
        self.standard = standard
        self.log = log
        self.metrics = metrics
    }

    /// The output of that name, else the destination of that name on the default broker.
    func output(_ name: String) throws(BinderError) -> Output {
        if let output = named[name] { return output }
        let destination = try Destination(name)
        return state.withLock { state in
            state.uses += 1
            let output = state.dynamic[name]?.output ?? Output(name: name, destination: destination, binder: standard)
            state.dynamic[name] = (output, state.uses)
            if state.dynamic.count > Self.dynamicLimit, let oldest = state.dynamic.min(by: { $0.value.used < $1.value.used }) {
                state.dynamic[oldest.key] = nil
            }
            return output
        }
    }

    /// All outputs, as they are shown.
    var views: [BindingView] {
        (named.values + state.withLock { $0.dynamic.values.map(\.output) }).map { output in
            BindingView(
                binding: output.name, name: output.destination.name, group: nil, state: .running, isPausable: false,
                binder: output.binder.name, isInput: false)
        }
    }

    /// Creates the required groups as soon as their brokers can be asked.
    func run(_ life: ServiceLife) async throws {
        life.started()
        await withTaskGroup(of: Void.self) { tasks in
            for output in named.values where !output.requiredGroups.isEmpty {
                tasks.addTask {
                    var backOff = BackOff(first: .milliseconds(500), longest: .seconds(15))
                    while !life.shutdown.isRequested, !Task.isCancelled {
                        do throws(BinderError) {
                            return try await self.prepare(output)
                        } catch {
                            self.log.warning(
                                "required groups do not exist yet; trying again", ["output": output.name, "error": error.description])
                        }
                        await life.shutdown.wait(atMost: backOff.next())
                    }
                }
            }
            await life.untilShutdown()
            tasks.cancelAll()
        }
    }

    private func prepare(_ output: Output) async throws(BinderError) {
        guard !output.requiredGroups.isEmpty, !state.withLock({ $0.prepared.contains(output.name) }) else { return }
        for group in output.requiredGroups { try await output.binder.prepare(group: group, of: output.destination) }
        state.withLock { _ = $0.prepared.insert(output.name) }
    }

    /// Returns after the broker's confirm.
    func send(_ result: FunctionResult, to output: Output) async throws(BinderError) -> PublishReceipt {
        try await prepare(output)
        return try await output.binder.publish(try envelope(of: result, to: output), to: output.destination)
    }

    /// Sends the results of a handler, each to where its header says or else to `output`.
    ///
    /// While a broker is away this waits, without calling the handler again and without giving up its event, until `closing` is requested;
    /// then it throws `GivenBack`. What no broker would take is `NonRetryable`.
    func publish(_ results: [FunctionResult], function: String, to output: Output?, closing: ShutdownSignal) async throws {
        for var result in results {
            var output = output
            if let name = result.envelope.headers.removeValue(forKey: Self.destinationHeader)?.text, !name.isEmpty {
                do throws(BinderError) { output = try self.output(name) } catch { throw Unsendable(description: error.description) }
            }
            guard let output else {
                throw Unsendable(
                    description: "the function \(function) returned a result and has no output: bind `\(function)-out-0`, or name the "
                        + "destination in the header `\(Self.destinationHeader)`")
            }
            try await publish(result, to: output, closing)
        }
    }

    private func publish(_ result: FunctionResult, to output: Output, _ closing: ShutdownSignal) async throws {
        var backOff = BackOff(first: .milliseconds(250), longest: .seconds(10))
        while true {
            do throws(BinderError) {
                _ = try await send(result, to: output)
                return
            } catch {
                if Task.isCancelled { throw CancellationError() }
                guard error.isRetriable || error.code == .cancelled || error.code == .refused || error.code == .closed else {
                    throw Unsendable(description: "the result cannot be sent to \(output.destination): \(error.description)")
                }
                if closing.isRequested { throw GivenBack() }
                metrics.count(
                    "carillon_function_waits_total", ["output": output.name], help: "Results that had to wait for their broker.")
                log.warning(
                    "a result waits for its broker", ["output": output.name, "event": result.envelope.id, "error": error.description])
                await closing.wait(atMost: backOff.next())
            }
        }
    }

    private func envelope(of result: FunctionResult, to output: Output) throws(BinderError) -> Envelope {
        var envelope = result.envelope
        if !result.namesType, let contentType = output.contentType { envelope.contentType = contentType }
        // The trace goes on in the result; a handler that has set one of its own knows better.
        if let context = FunctionContext.current, let parent = context.traceparent,
            envelope.headers["traceparent"] == nil || envelope.headers["traceparent"]?.text == parent
        {
            envelope.headers.merge(context.traceHeaders) { $1 }
        }
        envelope.headers[Partitioner.header] = nil
        if let key = output.partitionKey?.key(of: envelope) { envelope.key = key }
        return try output.partitioner?.assigning(envelope) ?? envelope
    }
}

/// A result that no broker would take.
struct Unsendable: NonRetryable, CustomStringConvertible { let description: String }
