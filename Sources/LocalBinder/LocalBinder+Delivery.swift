internal import Dispatch
internal import Locking
internal import Streams
internal import Telemetry
internal import ThreadExecutor

extension LocalBinder {
    // MARK: Delivering

    func next(of subscription: LocalSubscription) async -> Wake {
        let seat = subscription.seat
        let (now, wakes) = state.withLock { state -> (Wake?, Wakes) in
            guard case .open = state.phase else { return (.ended, []) }
            var out: [HandOut] = []
            let handOut = state.broker.take(seat, &out)
            if handOut != nil { state.counts.delivered += 1 }
            return (handOut.map(Wake.handOut), state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if let now { return now }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let wakes = state.withLock { state -> Wakes in
                    guard !Task.isCancelled else { return [(continuation, .cancelled)] }
                    guard case .open = state.phase else { return [(continuation, .ended)] }
                    var out: [HandOut] = []
                    state.waiters[seat.member] = Waiter(seat: seat, continuation: continuation)
                    state.broker.ask(seat, &out)
                    return state.wakes(for: out)
                }
                for (waiter, wake) in wakes { waiter.resume(returning: wake) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                guard let waiter = state.waiters.removeValue(forKey: seat.member) else { return nil as Waiter? }
                state.broker.stopAsking(seat)
                return waiter
            }
            waiter?.continuation.resume(returning: .cancelled)
        }
    }

    /// The envelope of a hand-out, read from the file where it is not in memory. Nil where it is gone: a broadcast subscription that is slower
    /// than the history is long has missed it.
    func load(_ handOut: HandOut, for subscription: LocalSubscription) async throws(BinderError) -> StoredEnvelope? {
        if let stored = handOut.stored { return stored }
        guard let journal, let thread else { throw BinderError(.broken, "an event is gone from the embedded broker's memory") }
        let position = handOut.position
        let destination = subscription.seat.destination
        do {
            if let stored = try await thread.run({ try journal.read(position, of: destination) }) { return stored }
        } catch {
            abandon(position, attempt: handOut.attempt, seen: false, for: subscription)
            throw error as? BinderError ?? BinderError(.broken, "\(error)")
        }
        _ = note(position, attempt: handOut.attempt, .accept, for: subscription)
        subscription.options.events(.gap)
        if let group = subscription.group {
            log.error(
                "an event is gone from the durable log before its group had done it", ["group": group.name, "position": "\(position)"])
        }
        return nil
    }

    func text(of position: UInt64) -> String { state.withLock { $0.broker.text(of: position) } }

    /// With a durable log it returns when the disk has it.
    func settle(_ position: UInt64, attempt: Int, _ outcome: DeliveryOutcome, for subscription: LocalSubscription) async throws(BinderError)
    {
        let due: Int64? =
            if case .retry(let delay) = outcome, delay > .zero { BrokerClock.steady + delay.millisecondsRoundedUp } else { nil }
        let settled: GroupState.Outcome
        switch outcome {
        case .accept: settled = .accept
        case .retry: settled = .retry(due)
        case .reject(let reason):
            let keeps = subscription.group != nil && subscription.options.deadLetters
            settled = .reject(keeps ? reason : nil, time: BrokerClock.wall, limits)
        }
        guard note(position, attempt: attempt, settled, for: subscription) != .stale else {
            throw BinderError(.closed, "the subscription no longer has this delivery in hand: the event is delivered again")
        }
        if let due { setTimer(due) }
        if journal != nil, subscription.group != nil { try await committed() }
    }

    func abandon(_ position: UInt64, attempt: Int, seen: Bool, for subscription: LocalSubscription) {
        _ = note(position, attempt: attempt, seen ? .retry(nil) : .unseen, for: subscription)
    }

    /// Settles within the broker's memory.
    func note(
        _ position: UInt64, attempt: Int, _ outcome: GroupState.Outcome, for subscription: LocalSubscription
    ) -> GroupState.Settled {
        let (result, wakes) = state.withLock { state in
            var out: [HandOut] = []
            let result = state.broker.settle(position, at: subscription.seat, attempt: attempt, outcome, &out)
            state.counts.count(outcome, result)
            return (result, state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        return result
    }

    // MARK: Time

    /// Sees to it that what is due at this time of the steady clock is delivered then.
    func setTimer(_ due: Int64) {
        let now = BrokerClock.steady
        let needed = state.withLock { state in
            if let timer = state.timer, timer <= due { return false }
            state.timer = due
            return true
        }
        guard needed else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(clamping: max(0, due - now)))) { [weak self] in
            self?.timerFired(due)
        }
    }

    func timerFired(_ due: Int64) {
        let now = BrokerClock.steady
        let (wakes, next) = state.withLock { state -> (Wakes, Int64?) in
            guard state.timer == due else { return ([], nil) }  // an earlier one has taken its place and will set the next
            state.timer = nil
            var out: [HandOut] = []
            state.broker.wake(now, &out)
            return (state.wakes(for: out), state.broker.nextDue())
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if let next { setTimer(next) }
    }
}
