import Dispatch
package import Lifecycle
import Locking
package import Streams
package import Telemetry

/// Where the embedded broker keeps its events.
package enum LocalStorage: Sendable, Hashable {
    /// In this process only: gone when it ends.
    case memory
}

/// The embedded broker: destinations, groups, broadcast, retry, delay, dead letters and replay within one process.
///
/// The state is a `LocalBroker`, a value behind one lock; publishing and pulling take no actor and no task hop. It works from `init` on;
/// `run` only ends it in order. See `LocalLimits` for every bound and what happens there.
package final class LocalBinder: Binder, BacklogReporting, DeadLetterKeeping {
    enum Wake: Sendable {
        case handOut(HandOut)
        case ended
        case cancelled
    }
    fileprivate enum Phase: Sendable { case open, ending, closed }
    struct Waiter: Sendable {
        let seat: LocalBroker.Seat
        let continuation: CheckedContinuation<Wake, Never>
    }
    fileprivate struct State: Sendable {
        var broker: LocalBroker
        var waiters: [UInt64: Waiter] = [:]
        var subscriptions = 0
        var phase = Phase.open
        /// When the timer that is set goes off; nil when none is.
        var timer: Int64?
        var counts = LocalCounts()
    }
    typealias Wakes = [(CheckedContinuation<Wake, Never>, Wake)]

    package let name = "local binder"
    package let capabilities: BinderCapabilities
    private let state: Locked<State>
    private let epoch: String
    private let drained = ShutdownSignal()
    private let limits: LocalLimits
    private let log: Log

    package init(storage: LocalStorage = .memory, limits: LocalLimits = LocalLimits(), log: Log = .silent, metrics: Metrics? = nil) {
        var capabilities: BinderCapabilities = [
            .durableGroups, .broadcast, .orderPerKey, .orderGlobal, .nativeDelay, .nativeDeadLetters, .lag, .binaryHeaders, .replay, .pause,
        ]
        switch storage {
        case .memory: break
        }
        capabilities.remove(.restartable)
        self.capabilities = capabilities
        self.limits = limits
        self.log = log
        epoch = String(Identifier.random().prefix(6))
        state = Locked(State(broker: LocalBroker(limits: limits, epoch: epoch, durable: false)))
        if let metrics { metrics.read { [weak self] metrics in self?.report(to: metrics) } }
    }

    package var readiness: Readiness {
        switch state.withLock({ $0.phase }) {
        case .open: .ready
        case .ending: .waiting("the embedded broker is ending")
        case .closed: .waiting("the embedded broker is closed")
        }
    }

    /// Runs until shutdown: then every `next()` answers nil, deliveries in hand may still be settled, and when all subscriptions have ended the
    /// broker is closed.
    package func run(_ life: ServiceLife) async throws {
        life.started()
        await life.untilShutdown()
        let (wakes, idle) = state.withLock { state in
            state.phase = .ending
            for waiter in state.waiters.values { state.broker.stopAsking(waiter.seat) }
            let wakes = state.waiters.map { ($0.value.continuation, Wake.ended) }
            state.waiters = [:]
            return (wakes, state.subscriptions == 0)
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if !idle { await drained.wait() }
        state.withLock { $0.phase = .closed }
    }

    // MARK: Publishing

    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        guard !Task.isCancelled else {
            throw BinderError(.cancelled, "publishing to \(destination) was cancelled before the event was sent")
        }
        let size = LocalBroker.size(of: envelope)
        guard size <= limits.eventBytes else {
            throw BinderError(
                .tooLarge, "an event of \(size) bytes for \(destination) is over the embedded broker's limit of \(limits.eventBytes)")
        }
        let stored = StoredEnvelope(envelope)
        let time = BrokerClock.wall
        let (position, wakes) = try state.withLock { (state) throws(BinderError) in
            guard state.phase != .closed else { throw Self.closed }
            let index = try state.broker.index(creating: destination.name)
            try state.broker.admit(size: size, to: index)
            var out: [HandOut] = []
            let position = state.broker.append(stored, size: size, to: index, time: time, &out)
            state.counts.published += 1
            return (position, state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        return PublishReceipt(id: envelope.id, position: text(of: position))
    }

    // MARK: Subscribing

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        try state.withLock { (state) throws(BinderError) in
            guard state.phase == .open else { throw Self.closed }
            let index = try state.broker.index(creating: destination.name)
            _ = try state.broker.group(group.name, in: index, start: .latest)
        }
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        let (subscription, gap) = try subscribe(to: destination, group: group, options: options)
        defer { end(subscription) }
        options.events(.ready)
        if gap { options.events(.gap) }
        var deliveries = Deliveries(subscription)
        return try await body(&deliveries)
    }

    private func subscribe(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions
    ) throws(BinderError) -> (LocalSubscription, gap: Bool) {
        let (seat, gap) = try state.withLock { (state) throws(BinderError) in
            guard state.phase == .open else { throw Self.closed }
            let index = try state.broker.index(creating: destination.name)
            let found: (seat: LocalBroker.Seat, gap: Bool)
            if let group {
                let made = try state.broker.group(group.name, in: index, start: options.start)
                found = (state.broker.join(group: made.group, in: index, prefetch: options.prefetch), made.gap)
            } else {
                found = try state.broker.joinBroadcast(index, prefetch: options.prefetch, start: options.start)
            }
            state.subscriptions += 1
            return found
        }
        return (LocalSubscription(binder: self, seat: seat, group: group, options: options), gap)
    }

    private func end(_ subscription: LocalSubscription) {
        let (wakes, idle) = state.withLock { state in
            var out: [HandOut] = []
            state.broker.leave(subscription.seat, &out)
            state.subscriptions -= 1
            return (state.wakes(for: out), state.phase == .ending && state.subscriptions == 0)
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if idle { drained.request() }
    }

    // MARK: Delivering

    func next(of subscription: LocalSubscription) async -> Wake {
        let seat = subscription.seat
        let (now, gap, wakes) = state.withLock { state -> (Wake?, Bool, Wakes) in
            guard state.phase == .open else { return (.ended, false, []) }
            var out: [HandOut] = []
            let (handOut, gap) = state.broker.take(seat, &out)
            if handOut != nil { state.counts.delivered += 1 }
            return (handOut.map(Wake.handOut), gap, state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if gap { subscription.options.events(.gap) }
        if let now { return now }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let wakes = state.withLock { state -> Wakes in
                    guard !Task.isCancelled else { return [(continuation, .cancelled)] }
                    guard state.phase == .open else { return [(continuation, .ended)] }
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

    func load(_ handOut: HandOut, for subscription: LocalSubscription) async throws(BinderError) -> StoredEnvelope {
        guard let stored = handOut.stored else { throw BinderError(.broken, "an event is gone from the embedded broker's memory") }
        return stored
    }

    func text(of position: UInt64) -> String { "\(epoch)-\(position)" }

    func settle(_ position: UInt64, attempt: Int, _ outcome: DeliveryOutcome, for subscription: LocalSubscription) async throws(BinderError)
    {
        let due: Int64? =
            if case .retry(let delay) = outcome, delay > .zero { BrokerClock.steady + delay.millisecondsRoundedUp } else { nil }
        let settled: GroupState.Outcome
        switch outcome {
        case .accept: settled = .accept
        case .retry: settled = .retry(due)
        case .reject(let reason):
            settled = .reject(deadLetter(position, attempt: attempt, reason, for: subscription), limit: limits.deadLetters)
        }
        let result = settle(position, attempt: attempt, settled, for: subscription)
        guard result != .stale else {
            throw BinderError(.closed, "the subscription no longer has this delivery in hand: the event is delivered again")
        }
        if let due { setTimer(due) }
    }

    func abandon(_ position: UInt64, attempt: Int, seen: Bool, for subscription: LocalSubscription) {
        _ = settle(position, attempt: attempt, seen ? .retry(nil) : .unseen, for: subscription)
    }

    private func settle(
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

    private func deadLetter(_ position: UInt64, attempt: Int, _ reason: FailureReason, for subscription: LocalSubscription) -> DeadLetter? {
        guard subscription.group != nil, subscription.options.deadLetters else { return nil }
        let stored = state.withLock { state in
            state.broker.withGroup(subscription.seat.group, of: subscription.seat.destination) { group, _ in
                group.outstanding[position]?.stored
            }
        }
        guard let envelope = stored??.envelope else { return nil }
        return DeadLetter(id: String(position), envelope: envelope, reason: reason, attempts: attempt, time: BrokerClock.wall)
    }

    // MARK: Time

    /// Sees to it that what is due at this time of the steady clock is delivered then.
    private func setTimer(_ due: Int64) {
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

    private func timerFired(_ due: Int64) {
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

    // MARK: Looking and acting

    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let now = BrokerClock.wall
        return try withGroup(group, of: destination) { group, log, _ in group.backlog(log, now: now) }
    }

    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        let all = try withGroup(group, of: destination) { group, _, _ in group.deadLetters }
        return all.sorted { $0.key < $1.key }.prefix(max(0, limit)).map(\.value)
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let positions = try ids.map(Self.positions)
        let now = BrokerClock.wall
        return try withGroup(group, of: destination) { group, log, out in group.replay(positions, log: log, now: now, &out) }
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        let positions = try ids.map(Self.positions)
        return try withGroup(group, of: destination) { group, _, _ in group.drop(positions) }
    }

    private static func positions(_ ids: [String]) throws(BinderError) -> [UInt64] {
        var positions: [UInt64] = []
        for id in ids {
            guard let position = UInt64(id) else { throw BinderError(.invalid, "\(id.prefix(40)) is not the id of a dead letter") }
            positions.append(position)
        }
        return positions
    }

    private func withGroup<T: Sendable>(
        _ group: ConsumerGroup, of destination: Destination, _ body: (inout GroupState, EventLog, inout [HandOut]) -> T
    ) throws(BinderError) -> T {
        let (result, wakes) = state.withLock { state -> (T?, Wakes) in
            guard let index = state.broker.index(of: group, in: destination) else { return (nil, []) }
            var out: [HandOut] = []
            let result = state.broker.withGroup(index.group, of: index.destination) { group, log in body(&group, log, &out) }
            return (result, state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        guard let result else {
            throw BinderError(
                .invalid, "the embedded broker knows no group \(group) of \(destination); a subscription or `prepare` creates it")
        }
        return result
    }

    private func report(to metrics: Metrics) {
        let (counts, backlogs) = state.withLock { state in
            let now = BrokerClock.wall
            var backlogs: [(String, String, Backlog)] = []
            for destination in state.broker.destinations {
                for case let group? in destination.groups {
                    if let name = group.name { backlogs.append((destination.name, name, group.backlog(destination.log, now: now))) }
                }
            }
            return (state.counts.take(), backlogs)
        }
        counts.report(to: metrics)
        for (destination, group, backlog) in backlogs {
            for (state, value) in [
                ("ready", backlog.ready), ("inHand", backlog.inHand), ("delayed", backlog.delayed), ("dead", backlog.dead ?? 0),
            ] {
                metrics.gauge(
                    "carillon_local_backlog_events", ["destination": destination, "group": group, "state": state], Double(value),
                    help: "Events of a group of the embedded broker by state.")
            }
        }
    }

    private static let closed = BinderError(.closed, "the embedded broker is closed: the process is ending")
}

extension LocalBinder.State {
    /// The continuations that these hand-outs resume, outside the lock.
    fileprivate mutating func wakes(for handOuts: [HandOut]) -> LocalBinder.Wakes {
        guard !handOuts.isEmpty else { return [] }
        counts.delivered += handOuts.count
        return handOuts.compactMap { handOut in waiters.removeValue(forKey: handOut.member).map { ($0.continuation, .handOut(handOut)) } }
    }
}
