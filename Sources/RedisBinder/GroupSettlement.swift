import Streams
import Telemetry

/// How one delivery to a member of a group ends.
///
/// An acceptance is handed to the subscription's thread, which tells the server in its next turn, many at once, and again on the next
/// connection where one is lost. A retry or a dead letter is waited for.
struct GroupSettlement: DeliverySettlement {
    let subscription: GroupSubscription
    let ticket: UInt64

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) {
        switch outcome {
        case .accept: try subscription.accept(ticket)
        case .retry(let delay): try await told(.retry(milliseconds: delay.milliseconds))
        case .reject(let reason):
            guard subscription.options.deadLetters else {
                subscription.metrics.count(
                    "carillon_rejected_dropped_total", ["destination": subscription.destination.name],
                    help: "Rejected deliveries that nobody keeps.")
                try subscription.accept(ticket)
                return
            }
            try await told(.reject(reason))
        }
    }

    private func told(_ action: GroupSubscription.Settling.Action) async throws(BinderError) {
        let call = PendingCall([], addsTo: nil, limit: subscription.configuration.publishLimit)
        try subscription.settle(GroupSubscription.Settling(ticket: ticket, action: action, call: call))
        _ = try await call.wait()
    }

    func abandon() {
        // After the end the server has it already.
        try? subscription.settle(GroupSubscription.Settling(ticket: ticket, action: .retry(milliseconds: 0), call: nil))
    }

    func release() {
        try? subscription.settle(GroupSubscription.Settling(ticket: ticket, action: .release, call: nil))
    }
}
