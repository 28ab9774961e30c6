package import Streams

/// What a binder does whose broker is not there when it starts.
package enum AbsentBroker {
    /// Starts the binder, which must say why it waits, then the broker by `start`; returns the text of an event that was published and received over
    /// it, by callers who waited since before. `limit`: until the binder says why it waits, and from that event until it is ready.
    package static func firstEvent(of binder: any Binder, within limit: Duration, start: () async throws -> Void) async throws -> String? {
        try await RunningService.with(binder) { _ in
            let destination = try fresh()
            let received = Task {
                try await binder.withSubscription(to: destination, group: nil, options: SubscriptionOptions()) { deliveries in
                    _ = try await binder.publish(Envelope(text: "at last"), to: destination)
                    let delivery = try await deliveries.next()?.take()
                    return delivery.map { String(decoding: $0.envelope.payload, as: UTF8.self) }
                }
            }
            try await eventually(within: limit, "a reason that names the address") {
                if case .waiting(let reason) = binder.readiness { reason.contains("127.0.0.1") } else { false }
            }
            try await start()
            let text = try await received.value
            try await eventually(within: limit, "ready") { binder.readiness.isReady }
            return text
        }
    }
}
