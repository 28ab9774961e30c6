package import Lifecycle
package import Telemetry

/// Thrown by the handler of a batch: the events before `index` are done, that one has failed, those behind it were not looked at.
public struct BatchFailure: Error, CustomStringConvertible {
    /// From 0, in the batch that the handler was given.
    public let index: Int
    public let cause: any Error

    public init(at index: Int, _ cause: any Error) {
        self.index = index
        self.cause = cause
    }

    public var description: String { "event \(index) of the batch: \(cause)" }
}

/// Thrown by the handler of a batch that has done nothing: these events can never be handled, and the others wait to be.
package struct UnusableEvents: Error {
    /// Why, by their places in the batch.
    package let reasons: [Int: any Error]
    package init(_ reasons: [Int: any Error]) { self.reasons = reasons }
}

/// Takes deliveries of one subscription and hands several at once to a handler.
///
/// A batch has the events of a key in order, and no event whose key another batch has in hand. Where the handler throws `BatchFailure`, the
/// events before the failed one are accepted, that one is tried again with those behind it, and when it is given up the others go on. Any
/// other error concerns the whole batch: when trying again did not help, each event is handed over alone, so that only those that fail
/// are given up.
package struct BatchConsumer: EventConsumer {
    package struct Options: Sendable {
        /// How many batches are handled at once.
        package var concurrency = 1
        /// The most events of a batch.
        package var size = 100
        /// How long the first event of a batch may wait for others.
        package var wait = Duration.milliseconds(200)
        package var retry = RetryPolicy()
        package var failure = FailurePolicy.deadLetter
        package var subscription = SubscriptionOptions()
        package init() {}
    }

    /// What a handler gets.
    package struct Batch: Sendable {
        /// Never empty.
        package let envelopes: [Envelope]
        /// Which call for the first event it is, from 1.
        package let call: Int
        /// Requested when the consumer is ending: whoever waits for something then throws `GivenBack`.
        package let closing: ShutdownSignal
    }

    package typealias Handler = @Sendable (Batch) async throws -> Void

    package let destination: Destination
    package let group: ConsumerGroup?
    private let options: Options
    private let settling: Settling
    private let handler: Handler

    package init(
        destination: Destination, group: ConsumerGroup?, options: Options = Options(), log: Log = .silent, metrics: Metrics? = nil,
        handler: @escaping Handler
    ) {
        self.destination = destination
        self.group = group
        self.options = options
        settling = Settling(
            destination: destination, group: group, failure: options.failure, longestPause: options.retry.longestPause, log: log,
            metrics: metrics)
        self.handler = handler
    }

    package func run(over binder: any Binder, gate: FetchGate = FetchGate(), ready: @escaping @Sendable () -> Void = {}) async throws {
        let size = max(1, options.size)
        var subscription = options.subscription
        subscription.prefetch = max(subscription.prefetch, size * max(1, options.concurrency))
        let hand = BatchHand(capacity: subscription.prefetch)
        // Given back only now: earlier, the broker would deliver them to this very subscription again.
        defer { hand.giveBack() }
        try await binder.withSubscription(to: destination, group: group, options: subscription) { deliveries in
            ready()
            let failure = await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await handleAll(hand, size, gate) }
                let failure = await deliveries.fetch(gate: gate, untilRoom: { await hand.untilRoom() }) { hand.add($0) }
                hand.close()
                await tasks.waitForAll()
                return failure
            }
            if let failure { throw failure }
        }
        if let reason = hand.stopReason { throw ConsumerStopped(description: reason) }
    }

    private func handleAll(_ hand: BatchHand, _ size: Int, _ gate: FetchGate) async {
        await withTaskGroup(of: Void.self) { workers in
            var running = 0
            while await hand.until(1) {
                if running == max(1, options.concurrency) {
                    await workers.next()
                    running -= 1
                    continue  // what is free to run is another set now
                }
                await hand.until(size, atMost: options.wait)
                guard await gate.untilOpen() else {
                    hand.close()  // fetching may wait for room that nobody makes any more
                    break
                }
                let batch = hand.take(size)
                guard !batch.isEmpty else { continue }
                running += 1
                workers.addTask {
                    await handle(batch, hand, gate)
                    hand.finish(batch)
                }
            }
            await workers.waitForAll()
        }
    }

    private func handle(_ batch: [ReceivedEnvelope], _ hand: BatchHand, _ gate: FetchGate) async {
        var rest = batch[...]
        var call = 0
        while let first = rest.first {
            call += 1
            do {
                try await handler(Batch(envelopes: rest.map(\.envelope), call: call, closing: gate.closing))
                for received in rest { await settling.accept(received) }
                return
            } catch {
                if Task.isCancelled || error is GivenBack { return interrupt(rest, hand) }
                if let unusable = error as? UnusableEvents, !unusable.reasons.isEmpty {
                    call -= 1
                    guard let left = await giveUp(unusable, of: rest, hand, gate) else { return }
                    rest = left
                    continue
                }
                settling.count("failed")
                var cause = error
                var failed = first
                let one = error as? BatchFailure
                if let one, rest.indices.contains(rest.startIndex + one.index) {
                    for received in rest.prefix(one.index) { await settling.accept(received) }
                    rest = rest.dropFirst(one.index)
                    failed = rest.first ?? first
                    cause = one.cause
                    if one.index > 0 { call = 1 }
                }
                switch options.retry.action(after: cause, call: call, round: failed.attempt) {
                case .again(let pause):
                    await gate.closing.wait(atMost: pause)
                    if gate.isClosed || Task.isCancelled { return interrupt(rest, hand) }
                case .later(let pause) where one != nil || rest.count == 1:
                    await settling.retry(failed, after: pause)
                    rest = rest.dropFirst()
                    call = 0
                case .giveUp(let reason) where one != nil || rest.count == 1:
                    guard await conclude(failed, reason, rest, hand, gate) else { return }
                    rest = rest.dropFirst()
                    call = 0
                case .later, .giveUp: return await handleAlone(rest, hand, gate)
                }
            }
        }
    }

    /// One call for each event; what fails now is given up.
    private func handleAlone(_ batch: ArraySlice<ReceivedEnvelope>, _ hand: BatchHand, _ gate: FetchGate) async {
        var rest = batch
        while let received = rest.first {
            do {
                try await handler(Batch(envelopes: [received.envelope], call: options.retry.attempts + 1, closing: gate.closing))
                await settling.accept(received)
            } catch {
                if Task.isCancelled || error is GivenBack { return interrupt(rest, hand) }
                settling.count("failed")
                let cause = (error as? BatchFailure)?.cause ?? (error as? UnusableEvents)?.reasons[0] ?? error
                switch options.retry.action(after: cause, call: options.retry.attempts, round: received.attempt) {
                case .later(let pause): await settling.retry(received, after: pause)
                case .giveUp(let reason): guard await conclude(received, reason, rest, hand, gate) else { return }
                case .again: await settling.retry(received, after: .zero)
                }
            }
            rest = rest.dropFirst()
        }
    }

    /// Gives up the unusable ones and returns the others; nil where the consumer stops.
    private func giveUp(
        _ unusable: UnusableEvents, of rest: ArraySlice<ReceivedEnvelope>, _ hand: BatchHand, _ gate: FetchGate
    ) async -> ArraySlice<ReceivedEnvelope>? {
        var left: [ReceivedEnvelope] = []
        for (place, received) in rest.enumerated() {
            guard let reason = unusable.reasons[place] else {
                left.append(received)
                continue
            }
            let others = left + rest.dropFirst(place)
            guard await conclude(received, FailureReason(reason), others[...], hand, gate) else { return nil }
        }
        return left[...]
    }

    /// Returns false where the consumer is to stop; `rest`, with the event itself, is then put aside.
    private func conclude(
        _ received: ReceivedEnvelope, _ reason: FailureReason, _ rest: ArraySlice<ReceivedEnvelope>, _ hand: BatchHand, _ gate: FetchGate
    ) async -> Bool {
        if await settling.giveUp(received, reason) { return true }
        for received in rest { hand.keep(received) }
        hand.stop(reason.message)
        gate.close()
        return false
    }

    private func interrupt(_ rest: ArraySlice<ReceivedEnvelope>, _ hand: BatchHand) {
        settling.count("interrupted")
        for received in rest { hand.keep(received) }
    }
}
