import Lifecycle
import Locking
package import Telemetry

/// Takes deliveries of one subscription and hands them to a handler, several at a time if asked, those of one key in order.
package struct Consumer: Sendable {
    package struct Options: Sendable {
        /// How many events are handled at once; with 1 they keep the order of the subscription, with more that of their keys.
        package var concurrency = 1
        package var retry = RetryPolicy()
        package var subscription: SubscriptionOptions
        package init(concurrency: Int = 1, retry: RetryPolicy = RetryPolicy(), subscription: SubscriptionOptions = SubscriptionOptions()) {
            self.concurrency = concurrency
            self.retry = retry
            self.subscription = subscription
        }
    }

    /// What a handler gets.
    package struct Event: Sendable {
        package let envelope: Envelope
        /// 1 for the first delivery to the group.
        package let round: Int
        /// Which call for this delivery it is, from 1.
        package let call: Int
        package let position: String?
    }

    package typealias Handler = @Sendable (Event) async throws -> Void

    let destination: Destination
    let group: ConsumerGroup?
    let options: Options
    let log: Log
    let metrics: Metrics?
    let handler: Handler

    package init(
        destination: Destination, group: ConsumerGroup?, options: Options = Options(), log: Log = .silent, metrics: Metrics? = nil,
        handler: @escaping Handler
    ) {
        self.destination = destination
        self.group = group
        self.options = options
        self.log = log
        self.metrics = metrics
        self.handler = handler
    }

    /// Runs until the gate is closed or the binder shuts down, then ends the events in hand and returns. `ready` is called when the position
    /// on the broker is established.
    ///
    /// An event is accepted after its handler has returned. Where the calling task is cancelled, handlers in hand are cancelled with it, and
    /// their events are neither accepted nor rejected: they go back when the subscription has ended, for the next member. So do those that
    /// wait for another try when the gate closes. Throws what the subscription throws.
    package func run(over binder: any Binder, gate: FetchGate = FetchGate(), ready: @escaping @Sendable () -> Void = {}) async throws {
        let hand = Hand(width: options.concurrency, capacity: max(options.concurrency, options.subscription.prefetch))
        // Given back only now: earlier, the broker would deliver them to this very subscription again.
        defer { hand.giveBack() }
        try await binder.withSubscription(to: destination, group: group, options: options.subscription) { deliveries in
            ready()
            let failure = await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<max(1, options.concurrency) {
                    tasks.addTask { while let entry = await hand.next() { await handle(entry, hand, gate) } }
                }
                let failure = await fetch(&deliveries, hand, gate)
                hand.close()
                await tasks.waitForAll()
                return failure
            }
            if let failure { throw failure }
        }
    }

    private func fetch(_ deliveries: inout Deliveries, _ hand: Hand, _ gate: FetchGate) async -> BinderError? {
        do {
            while await gate.untilOpen(), await hand.untilRoom() {
                let interrupt = gate.interrupt
                if let delivery = try await deliveries.next(until: interrupt) {
                    hand.add(delivery.take())
                } else if !interrupt.isRequested {
                    return nil  // the binder is shutting down
                }
            }
            return nil
        } catch {
            return error
        }
    }

    private func handle(_ entry: LaneSchedule<ReceivedEnvelope>.Entry, _ hand: Hand, _ gate: FetchGate) async {
        defer { hand.finish(entry) }
        let received = entry.item
        // What came in the last moment before a pause waits; before the end it goes back as if nobody had seen it.
        guard await gate.untilOpen() else {
            hand.putBack(received)
            return
        }
        var call = 0
        while true {
            call += 1
            do {
                try await handler(Event(envelope: received.envelope, round: received.attempt, call: call, position: received.position))
                // Cancelled, and yet done: what is done is acknowledged, shielded from the cancellation.
                if Task.isCancelled {
                    await Task { await settle(received, .accept, "accepted") }.value
                } else {
                    await settle(received, .accept, "accepted")
                }
                return
            } catch {
                if Task.isCancelled {
                    count("interrupted")
                    hand.keep(received)
                    return
                }
                count("failed")
                switch options.retry.action(after: error, call: call, round: received.attempt) {
                case .again(let pause):
                    await gate.closing.wait(atMost: pause)
                    if gate.isClosed || Task.isCancelled {
                        hand.keep(received)
                        return
                    }
                case .later(let pause):
                    await settle(received, .retry(after: pause), "retried later")
                    return
                case .giveUp(let reason):
                    log.error(
                        "an event is given up",
                        [
                            "destination": destination.name, "group": group?.name ?? "", "event": received.envelope.id,
                            "error": reason.message,
                        ])
                    await settle(received, .reject(reason), "rejected")
                    return
                }
            }
        }
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

    private func count(_ what: String) {
        metrics?.count(
            "carillon_stream_events_total", ["destination": destination.name, "group": group?.name ?? "", "what": what],
            help: "Events of a subscription by what became of them.")
    }
}
