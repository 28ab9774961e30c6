package import Lifecycle
import Locking
package import Streams
package import Telemetry
import ThreadExecutor

/// Where the embedded broker keeps its events.
package enum LocalStorage: Sendable, Hashable {
    /// In this process only: gone when it ends.
    case memory
    /// In a SQLite file of this folder, which is made where it is missing. Whatever was confirmed survives `kill -9` and a loss of power. One
    /// process at a time.
    case folder(String)
}

/// The embedded broker: destinations, groups, broadcast, retry, delay, dead letters and replay within one process.
///
/// The state is a `LocalBroker`, a value behind one lock; publishing and pulling take no actor and no task hop. It works from `init` on;
/// `run` only ends it in order. See `LocalLimits` for every bound and what happens there.
package final class LocalBinder: Binder {
    package let name = "local binder"
    package let capabilities: BinderCapabilities
    let state: Locked<State>
    let drained = ShutdownSignal()
    let limits: LocalLimits
    let log: Log
    let journal: Journal?
    /// The journal's thread; nil in memory.
    let thread: ThreadExecutor?

    /// Usable at once: what comes while a durable log is being opened waits for it. When it cannot be opened, everything throws why, `run` too.
    package init(storage: LocalStorage = .memory, limits: LocalLimits = LocalLimits(), log: Log = .silent, metrics: Metrics? = nil) {
        var capabilities: BinderCapabilities = [
            .durableGroups, .broadcast, .orderPerKey, .orderGlobal, .nativeDelay, .nativeDeadLetters, .lag, .binaryHeaders, .replay, .pause,
            .onDemand, .bounded,
        ]
        let epoch = String(Identifier.random().prefix(6))
        switch storage {
        case .memory:
            journal = nil
            thread = nil
        case .folder(let path):
            journal = Journal(folder: path)
            thread = ThreadExecutor(name: "local-log")
            capabilities.insert(.restartable)
        }
        self.capabilities = capabilities
        self.limits = limits
        self.log = log
        let broker = LocalBroker(limits: limits, epoch: epoch, durable: journal != nil)
        state = Locked(State(broker: broker, phase: journal == nil ? .open : .opening))
        if let metrics { metrics.read { [weak self] metrics in self?.report(to: metrics) } }
        if let journal, let thread { thread.submit { [self] in open(journal) } }
    }

    deinit { thread?.stop() }

    package var readiness: Readiness {
        state.withLock { state in
            switch state.phase {
            case .open: state.trouble.map { .waiting("the last commit failed: \($0.message)") } ?? .ready
            case .opening: .waiting("the durable log is being opened")
            case .ending: .waiting("the embedded broker is ending")
            case .closed: .waiting("the embedded broker is closed")
            case .failed(let error): .waiting(error.message)
            }
        }
    }

    /// Runs until shutdown: then every `next()` answers nil, deliveries in hand may still be settled, and when all subscriptions have ended the
    /// broker is closed. Throws when the durable log cannot be opened.
    package func run(_ life: ServiceLife) async throws {
        try await whenOpen()
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
        let failure: BinderError? = if journal == nil { nil } else { await commit() }
        if let failure { log.error("the last commit failed", ["error": failure.message]) }
        state.withLock { $0.phase = .closed }
        if let journal, let thread {
            try? await thread.run { journal.close() }
            thread.stop()
        }
    }

    // MARK: Publishing

    /// Returns when the event is in memory, or with a durable log when the disk has it; one commit confirms all who publish at the time. Throws
    /// `.blocked` where a group has its bound to do. A durable publish that has begun does not end early when the task is cancelled.
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
        if journal != nil {
            return PublishReceipt(id: envelope.id, position: text(of: try await stage(stored, size: size, time: time, to: destination)))
        }
        let (position, wakes, hints) = try state.withLock { (state) throws(BinderError) in
            try state.checkUsable()
            let index = try state.broker.index(creating: destination.name)
            try state.broker.admit(size: size, to: index)
            let hints = state.watches.isEmpty ? [] : state.hints(before: index)
            var out: [HandOut] = []
            let position = state.broker.append(stored, size: size, to: index, time: time, &out)
            state.counts.published += 1
            return (state.broker.text(of: position), state.wakes(for: out), hints)
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        for hint in hints { hint() }
        return PublishReceipt(id: envelope.id, position: position)
    }

    func stage(_ stored: StoredEnvelope, size: Int, time: Int64, to destination: Destination) async throws(BinderError) -> UInt64 {
        try await whenOpen()
        let result: Result<UInt64, BinderError> = await withCheckedContinuation { publisher in
            let (refusal, due) = state.withLock { state -> (BinderError?, Bool) in
                do throws(BinderError) {
                    try state.checkUsable()
                    let index = try state.broker.index(creating: destination.name)
                    let before = state.stagedSizes[index] ?? (0, 0)
                    try state.broker.admit(size: size, to: index, staged: before)
                    state.stagedSizes[index] = (before.events + 1, before.bytes + size)
                    state.staged.append(Staged(destination: index, stored: stored, size: size, time: time, publisher: publisher))
                    return (nil, state.wantCommit())
                } catch { return (error, false) }
            }
            if let refusal { publisher.resume(returning: .failure(refusal)) }
            if due { scheduleCommit() }
        }
        return try result.get()
    }

    // MARK: Subscribing

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        try await whenOpen()
        let created = try state.withLock { (state) throws(BinderError) in
            try state.checkOpen()
            let index = try state.broker.index(creating: destination.name)
            return try state.broker.group(group.name, in: index, start: .latest).created
        }
        if created { try await committed() }
    }

    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        guard options.partition == nil else {
            // Taken for a whole subscription it would get the events of all other partitions too.
            throw BinderError(
                .invalid, "the embedded broker has no partitions, members share by key: subscribe to \(destination) without one")
        }
        try await whenOpen()
        let (subscription, created, gap) = try subscribe(to: destination, group: group, options: options)
        defer { end(subscription) }
        if created { try await committed() }
        options.events(.ready)
        if gap { options.events(.gap) }
        var deliveries = Deliveries(subscription)
        return try await body(&deliveries)
    }

    func subscribe(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions
    ) throws(BinderError) -> (LocalSubscription, created: Bool, gap: Bool) {
        let (seat, created, gap) = try state.withLock { (state) throws(BinderError) in
            try state.checkOpen()
            let index = try state.broker.index(creating: destination.name)
            let found: (seat: LocalBroker.Seat, created: Bool, gap: Bool)
            if let group {
                let made = try state.broker.group(group.name, in: index, start: options.start)
                found = (state.broker.join(group: made.group, in: index, prefetch: options.prefetch), made.created, made.gap)
            } else {
                let made = try state.broker.joinBroadcast(index, prefetch: options.prefetch, start: options.start)
                found = (made.seat, false, made.gap)
            }
            state.subscriptions += 1
            return found
        }
        return (LocalSubscription(binder: self, seat: seat, group: group, options: options), created, gap)
    }

    func end(_ subscription: LocalSubscription) {
        let (wakes, idle) = state.withLock { state in
            var out: [HandOut] = []
            state.broker.leave(subscription.seat, &out)
            state.subscriptions -= 1
            let isEnding = if case .ending = state.phase { true } else { false }
            return (state.wakes(for: out), isEnding && state.subscriptions == 0)
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        if idle { drained.request() }
    }

    static let closed = BinderError(.closed, "the embedded broker is closed: the process is ending")
}
