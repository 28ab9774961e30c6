package import Lifecycle
import Locking
package import Telemetry

/// Takes deliveries of one subscription and hands them to a handler, several at a time if asked, those of one key in order.
package struct Consumer: EventConsumer {
    package struct Options: Sendable {
        /// How many events are handled at once; with 1 they keep the order of the subscription, with more that of their keys.
        package var concurrency = 1
        package var retry = RetryPolicy()
        package var failure = FailurePolicy.deadLetter
        package var subscription: SubscriptionOptions
        package init(
            concurrency: Int = 1, retry: RetryPolicy = RetryPolicy(), failure: FailurePolicy = .deadLetter,
            subscription: SubscriptionOptions = SubscriptionOptions()
        ) {
            self.concurrency = concurrency
            self.retry = retry
            self.failure = failure
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
        /// Requested when the consumer is ending: whoever waits for something then throws `GivenBack`.
        package let closing: ShutdownSignal
    }

    package typealias Handler = @Sendable (Event) async throws -> Void

    package let destination: Destination
    package let group: ConsumerGroup?
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
    /// wait for another try when the gate closes. Throws what the subscription throws, and `ConsumerStopped`.
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
                let failure = await deliveries.fetch(gate: gate, untilRoom: { await hand.untilRoom() }) { hand.add($0) }
                hand.close()
                await tasks.waitForAll()
                return failure
            }
            if let failure { throw failure }
        }
        if let reason = hand.stopReason { throw ConsumerStopped(description: reason) }
    }

    private var settling: Settling {
        Settling(
            destination: destination, group: group, failure: options.failure, longestPause: options.retry.longestPause, log: log,
            metrics: metrics)
    }

    private func handle(_ entry: LaneSchedule<ReceivedEnvelope>.Entry, _ hand: Hand, _ gate: FetchGate) async {
        defer { hand.finish(entry) }
        let received = entry.item
        // What came in the last moment before a pause waits; before the end it goes back as if nobody had seen it.
        guard await gate.untilOpen() else {
            hand.putBack(received)
            return
        }
        let settling = settling
        var call = 0
        while true {
            call += 1
            do {
                try await handler(
                    Event(
                        envelope: received.envelope, round: received.attempt, call: call, position: received.position,
                        closing: gate.closing))
                await settling.accept(received)
                return
            } catch {
                if Task.isCancelled || error is GivenBack {
                    settling.count("interrupted")
                    hand.keep(received)
                    return
                }
                settling.count("failed")
                switch options.retry.action(after: error, call: call, round: received.attempt) {
                case .again(let pause):
                    await gate.closing.wait(atMost: pause)
                    if gate.isClosed || Task.isCancelled {
                        hand.keep(received)
                        return
                    }
                case .later(let pause):
                    await settling.retry(received, after: pause)
                    return
                case .giveUp(let reason):
                    if await !settling.giveUp(received, reason) {
                        hand.keep(received)
                        hand.stop(reason.message)
                        gate.close()
                    }
                    return
                }
            }
        }
    }
}
