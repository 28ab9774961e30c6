import Lifecycle
import Locking
package import Streams
package import Telemetry

/// One instance's place on the bus: it publishes events to all instances or to some, hands those that are for it to its handlers, and
/// acknowledges them.
///
/// Handlers run one at a time, in the order in which the events came. An event of our own is applied here, too, when its destination says so,
/// after the broker has confirmed it: where the broker is away, nothing changes anywhere.
package final class EventBus: Service {
    package struct Configuration: Sendable {
        /// Where all instances meet; every one of them subscribes without a group, whatever groups are configured elsewhere.
        package var destination = Destination(fixed: "springCloudBus")
        /// Names of the configuration that this instance reads; empty: its application name only.
        package var configurationNames: [String] = []
        /// Whether events are acknowledged.
        package var acknowledges = true
        /// The destination of acknowledgements: everybody, since a Spring tracer may stand anywhere.
        package var acknowledgementDestination = DestinationPattern.everybody
        /// A handler that takes longer is cancelled, and the event counts as failed.
        package var handlerLimit: Duration = .seconds(60)
        /// How often the instance reports what it runs without being asked; nil: never.
        package var reportInterval: Duration? = .seconds(300)
        package init() {}
    }

    /// What a handler did with an event.
    package struct Handled: Sendable, Hashable {
        package var outcome: Receipt.Outcome
        /// What the instance runs now; nil: the event had nothing to do with its configuration.
        package var running: RunningConfiguration?
        package init(_ outcome: Receipt.Outcome, running: RunningConfiguration? = nil) {
            self.outcome = outcome
            self.running = running
        }
    }

    /// Events that can be handled. Shutdown events cannot.
    package enum HandledKind: Sendable, Hashable {
        case refresh
        case environmentChange
        /// The simple class name on the wire, `Outer$Inner` for a nested one.
        case custom(String)
    }

    package typealias Handler = @Sendable (BusMessage) async throws -> Handled

    struct State {
        var flow: BusFlow
        var handlers: [HandledKind: [Handler]] = [:]
        var classNames: [String: String] = [:]
        var gapHandlers: [@Sendable () async -> Void] = []
        var observers: [@Sendable (BusObservation) -> Void] = []
        var running = RunningConfiguration()
        var runsConfiguration = false
        var readiness = Readiness.waiting("the bus has not been started")
    }

    enum Work: Sendable {
        case apply(BusMessage)
        case gap
        case report
    }

    package let id: BusID
    package let configuration: Configuration
    let binder: any Binder
    let log: Log
    let metrics: Metrics?
    let state: Locked<State>
    let gate = SerialGate()
    /// Own events to apply and what else is to be done in turn with them. Bounded; the newest is dropped and said so in the log.
    let work: AsyncStream<Work>
    let workInput: AsyncStream<Work>.Continuation
    /// Acknowledgements and reports to send. Bounded; the newest is dropped: a lost one is an instance that has not answered.
    let outgoing: AsyncStream<BusMessage>
    let outgoingInput: AsyncStream<BusMessage>.Continuation

    /// Roll calls to answer; several that wait are one.
    let rollCalls: AsyncStream<Void>
    let rollCallInput: AsyncStream<Void>.Continuation

    package var name: String { "bus \(configuration.destination)" }

    package init(
        id: BusID, binder: any Binder, configuration: Configuration = Configuration(), log: Log = .silent, metrics: Metrics? = nil
    ) {
        self.id = id
        self.binder = binder
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        state = Locked(State(flow: BusFlow(id: id, configurationNames: configuration.configurationNames)))
        (work, workInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1024))
        (outgoing, outgoingInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(4096))
        (rollCalls, rollCallInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the subscription is established, so that no event is missed from now on; the reason where it is not.
    package var readiness: Readiness { state.withLock { $0.readiness } }

    /// Whether the broker can be reached for publishing.
    package var brokerReadiness: Readiness { binder.readiness }

    /// What this instance is known to run; receipts and reports tell it.
    package var running: RunningConfiguration { state.withLock { $0.running } }

    /// Calls `handler` for each event of that kind that is for this instance. An error it throws makes the receipt say `failed`, with the
    /// error's text: that must not hold values of properties.
    package func handle(_ kind: HandledKind, _ handler: @escaping Handler) {
        state.withLock { $0.handlers[kind, default: []].append(handler) }
    }

    /// Handles a custom event type. What `decode` refuses with a `BusDecodingError` counts as no event and is not acknowledged.
    /// `className` is the full class name, with which Spring peers know it again in acknowledgements.
    package func handle<Value: Sendable>(
        custom type: String, className: String? = nil, decode: @escaping @Sendable (BusEvent) throws(BusDecodingError) -> Value,
        _ handler: @escaping @Sendable (Value, BusMessage) async throws -> Handled
    ) {
        state.withLock { $0.classNames[type] = className ?? type }
        handle(.custom(type)) { message in try await handler(try decode(message.event), message) }
    }

    /// Calls `handler`, in turn with the event handlers, when events may have been missed: compare versions then.
    package func handleGap(_ handler: @escaping @Sendable () async -> Void) { state.withLock { $0.gapHandlers.append(handler) } }

    /// Calls `observer` for all that happens on the bus, in order, from any task; it must not block.
    package func observe(_ observer: @escaping @Sendable (BusObservation) -> Void) { state.withLock { $0.observers.append(observer) } }

    /// Tells what this instance runs, for receipts and reports; an instance that never calls it, and whose handlers never tell, is no instance
    /// with a configuration (`Receipt.Outcome.none`).
    package func setRunning(_ running: RunningConfiguration, report: Bool = false) {
        state.withLock { state in
            state.running = running
            state.runsConfiguration = true
        }
        if report { workInput.yield(.report) }
    }

    /// Whether an event with this destination would be applied here.
    package func isAddressed(by destination: String?) -> Bool {
        DestinationPattern.isFor(destination, id: id.text, configurationNames: configuration.configurationNames)
    }

    func notify(_ observation: BusObservation) {
        for observer in state.withLock({ $0.observers }) { observer(observation) }
    }

    func count(_ what: String, _ event: BusEvent?) {
        metrics?.count(
            "carillon_bus_events_total", ["what": what, "type": String((event?.type ?? "none").prefix(80))],
            help: "Bus events by what became of them here.")
    }
}

extension EventBus {
    /// The bus's two bindings, by the names that they have in Spring.
    package var bindings: [BindingView] {
        let waitingFor: String? = if case .waiting(let reason) = readiness { reason } else { nil }
        func view(_ name: String, isInput: Bool) -> BindingView {
            BindingView(
                binding: name, name: configuration.destination.name, group: nil, state: .running, isPausable: false, binder: binder.name,
                isInput: isInput, waitingFor: isInput ? waitingFor : nil)
        }
        return [view("springCloudBusInput", isInput: true), view("springCloudBusOutput", isInput: false)]
    }
}
