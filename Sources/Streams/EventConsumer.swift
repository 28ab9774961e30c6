import Lifecycle
import Telemetry

/// Takes the deliveries of one subscription and has them handled.
package protocol EventConsumer: Sendable {
    var destination: Destination { get }
    var group: ConsumerGroup? { get }

    /// Runs until the gate is closed or the binder shuts down, then ends the events in hand and returns. `ready` is called when the position
    /// on the broker is established. Throws what the subscription throws, and `ConsumerStopped` where an event's failure ends it.
    func run(over binder: any Binder, gate: FetchGate, ready: @escaping @Sendable () -> Void) async throws
}

/// An event has failed, and the failure policy says that nothing goes on without it.
package struct ConsumerStopped: Error, CustomStringConvertible {
    package let description: String
}

/// Thrown by a handler that cannot end its work because its binding is stopping: the event goes back, neither done nor failed.
package struct GivenBack: Error {
    package init() {}
}

/// Ends deliveries and counts how.
struct Settling: Sendable {
    let destination: Destination
    let group: ConsumerGroup?
    let failure: FailurePolicy
    let longestPause: Duration
    let log: Log
    let metrics: Metrics?

    func accept(_ received: ReceivedEnvelope) async {
        // Cancelled, and yet done: what is done is acknowledged, shielded from the cancellation.
        if Task.isCancelled {
            await Task { await settle(received, .accept, "accepted") }.value
        } else {
            await settle(received, .accept, "accepted")
        }
    }

    func retry(_ received: ReceivedEnvelope, after pause: Duration) async { await settle(received, .retry(after: pause), "retried later") }

    /// Does with an event that is given up what the policy says. Returns false where the consumer is to stop; the event is unsettled then.
    func giveUp(_ received: ReceivedEnvelope, _ reason: FailureReason) async -> Bool {
        log.error(
            "an event is given up",
            [
                "destination": destination.name, "group": group?.name ?? "", "event": received.envelope.id, "error": reason.message,
                "then": failure.rawValue,
            ])
        switch failure {
        case .deadLetter: await settle(received, .reject(reason), "rejected")
        case .drop: await settle(received, .accept, "dropped")
        case .retry: await settle(received, .retry(after: longestPause), "retried later")
        case .stop:
            count("stopped")
            return false
        }
        return true
    }

    private func settle(_ received: ReceivedEnvelope, _ outcome: DeliveryOutcome, _ what: String) async {
        do {
            try await received.settlement.settle(outcome)
            count(what)
        } catch {
            count("not settled")
            log.warning(
                "the broker could not be told of an event; it will deliver it again",
                ["destination": destination.name, "event": received.envelope.id, "error": error.description])
        }
    }

    func count(_ what: String) {
        metrics?.count(
            "carillon_stream_events_total", ["destination": destination.name, "group": group?.name ?? "", "what": what],
            help: "Events of a subscription by what became of them.")
    }
}

extension Deliveries {
    /// Takes deliveries while there is room for them, until the gate is closed or the binder shuts down.
    mutating func fetch(gate: FetchGate, untilRoom: () async -> Bool, _ add: (ReceivedEnvelope) -> Void) async -> BinderError? {
        do {
            while await gate.untilOpen(), await untilRoom() {
                let interrupt = gate.interrupt
                if let delivery = try await next(until: interrupt) {
                    add(delivery.take())
                } else if !interrupt.isRequested {
                    return nil  // the binder is shutting down
                }
            }
            return nil
        } catch {
            return error
        }
    }
}
