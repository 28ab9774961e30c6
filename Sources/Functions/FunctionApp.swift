import Binders
import HTTPServer
import Lifecycle
import Locking
import Settings
package import Streams
package import Telemetry

/// A service made of functions: handlers that are attached to event channels by configuration.
///
/// ```swift
/// let app = try FunctionApp(settings: .file("carillon.yaml"))
/// app.function("charge") { (order: Order) async throws -> Receipt? in try await payments.charge(order) }
/// app.function("audit") { (envelope: Envelope) async throws -> Void in print(envelope.id) }
/// try await app.run()  // until SIGTERM or SIGINT; then events in hand are ended
/// ```
/// Delivery is at least once: an event counts as done when its handler has returned and its results are confirmed by their broker. What fails
/// is tried again as the binding says, then kept as a dead letter.
public final class FunctionApp: Sendable {
    private struct State {
        var functions = RegisteredFunctions()
        var hasRun = false
        var isBound = false
        var parts: [Part] = []
        var server: HTTPServer?
    }
    let settings: FunctionSettings
    /// By the names of the settings; the default one is "".
    let binders: [String: any Binder]
    let outputs: Outputs
    let bindings: Bindings
    let log: Log
    let metrics: Metrics
    private let state = Locked(State())

    /// Throws for settings that cannot be carried out. Nothing is connected before `run()`.
    public convenience init(settings: FunctionSettings) throws(FunctionError) {
        let level = Log.Level.allCases.first { $0.name == settings.shared.log.rawValue } ?? .info
        try self.init(settings: settings, binders: [:], log: Log(part: "functions", minimum: level))
    }

    /// `binders` stand in for those that the settings name; that of "" for the default one.
    package init(
        settings: FunctionSettings, binders given: [String: any Binder], log: Log = .silent, metrics: Metrics = Metrics()
    ) throws(FunctionError) {
        self.settings = settings
        self.log = log
        self.metrics = metrics
        var partitions: [String: [String: Int]] = [:]
        for output in settings.outputs.values where output.partitionCount > 1 {
            partitions[output.binder ?? "", default: [:]][output.destination] = output.partitionCount
        }
        for input in settings.inputs.values {
            guard let count = input.partitionCount else { continue }
            for destination in input.destinations { partitions[input.binder ?? "", default: [:]][destination] = count }
        }
        let named = settings.inputs.values.map(\.binder) + settings.outputs.values.map(\.binder)
        var binders = given
        for name in Set([""] + named.compactMap { $0 }) where binders[name] == nil {
            binders[name] = try Self.binder(name, settings, partitions[name] ?? [:], log, metrics)
        }
        self.binders = binders
        guard let standard = binders[""] else { throw FunctionError(.settings, "there is no broker") }
        var outputs: [String: Outputs.Output] = [:]
        for (name, output) in settings.outputs {
            outputs[name] = try Self.output(name, output, binders[output.binder ?? ""] ?? standard)
        }
        self.outputs = Outputs(outputs, standard: standard, log: log, metrics: metrics)
        bindings = Bindings(log: log.of("bindings"))
        bindings.show { [outputs = self.outputs] in outputs.views }
    }

    private static func binder(
        _ name: String, _ settings: FunctionSettings, _ partitions: [String: Int], _ log: Log, _ metrics: Metrics
    ) throws(FunctionError) -> any Binder {
        do {
            guard let broker = try settings.shared.broker(name.isEmpty ? nil : name) else {
                throw FunctionError(
                    .settings,
                    "there is no broker: set `binder:`, such as amqp://user:password@host:5672 (`local:` for one of this process)")
            }
            return try BinderURI(broker.uri).binder(
                name: settings.application, token: broker.token, authorityFile: broker.authorityFile, partitions: partitions, log: log,
                metrics: metrics)
        } catch let error as FunctionError {
            throw error
        } catch {
            let what = (error as? SettingsError)?.message ?? (error as? BinderError)?.message ?? "\(error)"
            throw FunctionError(.settings, name.isEmpty ? "`binder`: \(what)" : "the binder \(name): \(what)")
        }
    }

    private static func output(_ name: String, _ output: OutputBinding, _ binder: any Binder) throws(FunctionError) -> Outputs.Output {
        do throws(BinderError) {
            var groups: [ConsumerGroup] = []
            for group in output.requiredGroups { groups.append(try ConsumerGroup(group)) }
            return Outputs.Output(
                name: name, destination: try Destination(output.destination), binder: binder, contentType: output.contentType,
                partitioner: output.partitionCount > 1 ? try Partitioner(count: output.partitionCount) : nil,
                partitionKey: output.partitionKey, requiredGroups: groups)
        } catch {
            throw FunctionError(.settings, "the output \(name): \(error.message)")
        }
    }

    func add(_ name: String, _ input: Int?, _ function: Function) { state.withLock { $0.functions.add(name, input, function) } }

    /// What the app runs beside its functions, such as the bus.
    struct Part: Sendable {
        let name: String
        let services: [any Service]
        let readiness: @Sendable () -> Readiness
    }
    func add(_ part: Part) { state.withLock { $0.parts.append(part) } }
    var parts: [Part] { state.withLock { $0.parts } }

    /// Whether `run()` was called: what is added now is not part of it.
    var hasRun: Bool { state.withLock { $0.hasRun } }

    func setBound() { state.withLock { $0.isBound = true } }
    /// Whether all inputs are there.
    var isBound: Bool { state.withLock { $0.isBound } }

    func keep(_ server: HTTPServer) { state.withLock { $0.server = server } }

    /// Where bindings, health and metrics are served, once the app runs; nil where the settings have no `server`.
    public var port: Int? { state.withLock { $0.server }?.port }

    /// What is to run; once.
    func plan() throws(FunctionError) -> FunctionPlan {
        let (functions, again) = state.withLock { state in
            defer { state.hasRun = true }
            return (state.functions, state.hasRun)
        }
        if again { throw FunctionError(.conflict, "an app runs once: make another one") }
        return try FunctionPlan(functions, settings)
    }
}
