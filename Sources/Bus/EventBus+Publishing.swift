package import JSON
import Locking
package import Streams
import Telemetry

extension EventBus {
    /// Publishes an event and returns its id once the broker has confirmed it. The origin becomes this instance's bus id; where the destination
    /// matches this instance, the event is then applied here, too, in turn with others. When it throws, nothing is applied here.
    @discardableResult
    package func publish(_ event: BusEvent, headers: [String: HeaderValue] = [:]) async throws(BinderError) -> String {
        var event = event
        event.origin = id.text
        event.received = nil
        let message = BusMessage(event: event, headers: headers)
        let isForSelf = state.withLock { state in
            state.flow.willSend(event)
            return state.flow.isForSelf(event)
        }
        do {
            _ = try await binder.publish(message.envelope, to: configuration.destination)
        } catch {
            let mayHaveArrived = error.code == .timedOut || error.code == .cancelled
            state.withLock { $0.flow.didNotSend(event, mayHaveArrived: mayHaveArrived) }
            count("not sent", event)
            throw error
        }
        count("sent", event)
        notify(.sent(message))
        if isForSelf, event.acknowledgement == nil {
            if case .dropped = workInput.yield(.apply(message)) {
                log.warning("an event was sent and could not be applied here: too many wait", ["event": event.id])
            }
        }
        return event.id
    }

    /// Asks the instances that `destination` matches to read their configuration again. `destination` is normalised: nil is everybody. `event` is
    /// the id of the event: receivers apply one id once.
    @discardableResult
    package func refresh(
        _ destination: String? = nil, details: RefreshDetails = RefreshDetails(), event: String = Identifier.random()
    ) async throws(BinderError) -> String {
        try await publish(
            BusEvent(.refresh, origin: id.text, destination: DestinationPattern.normalised(destination), id: event),
            headers: details.headers)
    }

    /// Sets properties at the instances that `destination` matches, until they end.
    @discardableResult
    package func changeEnvironment(_ values: [EnvironmentValue], _ destination: String? = nil) async throws(BinderError) -> String {
        try await publish(BusEvent(.environmentChange(values), origin: id.text, destination: DestinationPattern.normalised(destination)))
    }

    /// Publishes an event of an application's own type.
    @discardableResult
    package func publish(custom type: String, _ members: [JSONMember], _ destination: String? = nil) async throws(BinderError) -> String {
        try await publish(
            BusEvent(.custom(type: type, members: members), origin: id.text, destination: DestinationPattern.normalised(destination)))
    }

    /// The acknowledgement of an event, with a receipt in its headers.
    func acknowledgement(of event: BusEvent, _ receipt: Receipt) -> BusMessage {
        let className = state.withLock { state in
            switch event.kind {
            case .custom(let type, _): state.classNames[type] ?? type
            default: event.type.map { BusEvent.springPackage + $0 }
            }
        }
        let body = Acknowledgement(id: event.id, destination: event.destination, eventClass: className)
        return BusMessage(
            event: BusEvent(.acknowledgement(body), origin: id.text, destination: configuration.acknowledgementDestination),
            headers: receipt.headers)
    }

    /// What this instance runs, told without being asked.
    ///
    /// It is an acknowledgement of itself: every generation of Spring Cloud Bus knows that type, drops it before it looks at anything else
    /// unless tracing is on, and then only shows it. A type of our own would be an unknown event to them, and a refresh or a custom event would
    /// be acted on. The acknowledged class is the acknowledgement's own, which exists on every peer, so nobody's trace shows a refresh that
    /// never was; a fresh `ackId` of its own correlates with nothing.
    func report(_ outcome: Receipt.Outcome) -> BusMessage {
        let identifier = Identifier.random()
        let body = Acknowledgement(
            id: identifier, destination: id.text, eventClass: BusEvent.springPackage + BusEvent.acknowledgementType)
        return BusMessage(
            event: BusEvent(
                .acknowledgement(body), origin: id.text, destination: configuration.acknowledgementDestination, id: identifier),
            headers: receipt(outcome).headers)
    }

    /// Asks every Carillon instance to report what it runs; the answers come within some seconds. Peers of Spring pass it over as they do a report.
    package func callRoll() {
        var message = report(.running)
        message.headers[BusHeader.rollCall] = true
        post(message)
    }

    func receipt(_ outcome: Receipt.Outcome, error: String? = nil) -> Receipt {
        let (running, runsConfiguration) = state.withLock { ($0.running, $0.runsConfiguration) }
        return Receipt(
            instance: id.text, application: id.application, profiles: id.profiles, running: running,
            outcome: runsConfiguration || outcome == .failed ? outcome : .none, error: error)
    }
}
