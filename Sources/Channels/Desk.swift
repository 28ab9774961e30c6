internal import Dispatch
internal import Lifecycle
internal import Locking
internal import Streams

/// Where one member of a group pulls over HTTP: holds the member's subscription, gives deliveries to the pulls that wait, and keeps leases.
///
/// Nothing is taken from the broker unless a pull waits for it. A pull whose client has left gives what it got back unseen.
final class Desk: Sendable {
    struct Key: Hashable, Sendable {
        let destination: Destination
        let group: ConsumerGroup
        let member: String
    }
    struct Leased: Sendable {
        let token: String
        let received: ReceivedEnvelope
    }
    enum Answer: Sendable {
        case deliveries([Leased])
        case failed(ChannelError)
        /// The desk is closed: another must be opened.
        case closed
    }
    private struct Pull: Sendable {
        let id: UInt64
        let most: Int
        let lease: Duration
        var got: [Leased] = []
        var bytes = 0
        let continuation: CheckedContinuation<Answer, Never>
    }
    private struct Lease: Sendable {
        let settlement: any DeliverySettlement
        var end: ContinuousClock.Instant
    }
    private struct State {
        var pulls: [Pull] = []
        var leases: [String: Lease] = [:]
        var lastPull: UInt64 = 0
        var lastToken: UInt64 = 0
        var idleSince = ContinuousClock.now
        /// When the timer for the next lease that ends goes off.
        var timer: ContinuousClock.Instant?
        var isReady = false
        var isClosed = false
        /// Given when there is nobody left to take a delivery for.
        var noDemand = ShutdownSignal()
        /// The desk waits here for a pull.
        var idle: CheckedContinuation<Void, Never>?
    }

    /// How long a pull waits for the subscription to stand, whatever wait it asks for.
    private static let patience = Duration.seconds(8)
    /// A pull takes no more once it has this many bytes of payloads.
    private static let answerBytes = 4 << 20

    let key: Key
    /// The first part of each token: finds the desk again.
    let number: UInt64
    /// The second part, so that tokens cannot be guessed.
    private let secret = Identifier.random().prefix(13)
    private let settings: ChannelSettings
    private let idleLimit: Duration
    /// How many the first pull asked for.
    private let most: Int
    private let closing = ShutdownSignal()
    private let state = Locked(State())

    /// `onDemand`: the broker hands out what is asked for only. One that pushes has put events aside for this desk which no other member gets
    /// until it ends: such a desk ends soon when nobody pulls.
    init(key: Key, number: UInt64, most: Int, onDemand: Bool, settings: ChannelSettings) {
        self.key = key
        self.number = number
        self.most = most
        self.settings = settings
        idleLimit = onDemand ? settings.idle : min(settings.idle, .seconds(5))
    }

    var leaseCount: Int { state.withLock { $0.leases.count } }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    // MARK: Pulling

    /// Waits for deliveries, at most `wait`; with the first one at hand, only a moment for more.
    func pull(most: Int, wait: Duration, lease: Duration) async -> Answer {
        let id = state.withLock { state in
            state.lastPull += 1
            return state.lastPull
        }
        let isReady = state.withLock { $0.isReady }
        // What is at hand at the broker takes a moment to come.
        let wait = max(wait, isReady ? .milliseconds(50) : .milliseconds(500))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Answer, Never>) in
                let pull = Pull(id: id, most: most, lease: lease, continuation: continuation)
                let (refused, idle) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
                    guard !state.isClosed, !Task.isCancelled else { return (true, nil) }
                    state.pulls.append(pull)
                    if state.noDemand.isRequested { state.noDemand = ShutdownSignal() }
                    defer { state.idle = nil }
                    return (false, state.idle)
                }
                idle?.resume()
                guard !refused else { return continuation.resume(returning: .closed) }
                if isReady {
                    after(wait) { desk in desk.finish(id) }
                } else {
                    let latest = ContinuousClock.now + Self.patience
                    after(wait) { desk in desk.finish(id, whenReady: latest) }
                }
            }
        } onCancel: {
            finish(id, giveBack: true)
        }
    }

    /// A subscription that is just being made may take longer than its first pull wants to wait: joining a group of Kafka takes seconds, and who
    /// pulls without waiting would never get anything.
    private func finish(_ id: UInt64, whenReady latest: ContinuousClock.Instant) {
        let (isReady, isWaiting) = state.withLock { state in (state.isReady, state.pulls.contains { $0.id == id && $0.got.isEmpty }) }
        guard isWaiting, ContinuousClock.now < latest else { return finish(id) }
        after(.milliseconds(isReady ? 300 : 50)) { desk in
            if isReady { desk.finish(id) } else { desk.finish(id, whenReady: latest) }
        }
    }

    /// Answers a pull with what it has got, or gives that back.
    private func finish(_ id: UInt64, giveBack: Bool = false) {
        let (pull, signal) = state.withLock { state -> (Pull?, ShutdownSignal?) in
            guard let index = state.pulls.firstIndex(where: { $0.id == id }) else { return (nil, nil) }
            let pull = state.pulls.remove(at: index)
            if giveBack { for leased in pull.got { state.leases[leased.token] = nil } }
            if state.pulls.isEmpty { state.idleSince = .now }
            return (pull, state.pulls.isEmpty ? state.noDemand : nil)
        }
        signal?.request()
        guard let pull else { return }
        if giveBack { for leased in pull.got.reversed() { leased.received.settlement.release() } }
        pull.continuation.resume(returning: .deliveries(giveBack ? [] : pull.got))
    }

    private func after(_ delay: Duration, _ body: @escaping @Sendable (Desk) -> Void) {
        let (seconds, attoseconds) = delay.components
        let nanoseconds = Int(clamping: seconds) &* 1_000_000_000 &+ Int(attoseconds / 1_000_000_000)
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { @Sendable [weak self] in
            if let self { body(self) }
        }
    }

    // MARK: The subscription

    /// Subscribes and serves pulls until the desk is idle or closed. Throws nothing: pulls are told.
    func run(_ binder: any Binder) async {
        var failure: ChannelError?
        after(idleLimit) { desk in desk.wakeWhenIdle() }
        do {
            try await withThrowingTaskGroup(of: Bool.self) { tasks in
                tasks.addTask { [self] in
                    try await serve(binder)
                    return true
                }
                // Closed while the broker is away, it waits for it no longer.
                tasks.addTask { [self] in
                    await closing.wait()
                    guard state.withLock({ $0.isReady }) else { throw CancellationError() }
                    return false
                }
                if try await tasks.next() == false { _ = try await tasks.next() }
                tasks.cancelAll()
            }
        } catch {
            failure = ChannelError.of(error)
        }
        close(failure)
    }

    private func serve(_ binder: any Binder) async throws {
        let options = SubscriptionOptions(prefetch: prefetch(binder))
        try await binder.withSubscription(to: key.destination, group: key.group, options: options) { deliveries in
            state.withLock { $0.isReady = true }
            while !Task.isCancelled {
                guard let signal = await demand() else { break }
                guard let delivery = try await deliveries.next(until: signal) else {
                    if signal.isRequested { continue }
                    break  // the binder is ending
                }
                give(delivery.take())
            }
            close()  // before the subscription ends, so that what is leased is given back by it once
        }
    }

    /// A broker that pushes would fill a large prefetch at once, and other members would wait for what lies here.
    private func prefetch(_ binder: any Binder) -> Int {
        if binder.capabilities.contains(.onDemand) { return settings.inHand }
        return min(settings.inHand, key.member.isEmpty ? 100 : most)
    }

    /// Waits until a pull waits. Nil when the desk is to end.
    private func demand() async -> ShutdownSignal? {
        while true {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let now = state.withLock { state in
                        if !state.pulls.isEmpty || state.isClosed || Task.isCancelled { return true }
                        state.idle = continuation
                        return false
                    }
                    if now { continuation.resume() }
                }
            } onCancel: {
                wake()
            }
            let (signal, ended) = state.withLock { state -> (ShutdownSignal?, Bool) in
                if state.isClosed { return (nil, true) }
                if !state.pulls.isEmpty {
                    if state.noDemand.isRequested { state.noDemand = ShutdownSignal() }
                    return (state.noDemand, false)
                }
                if state.leases.isEmpty, ContinuousClock.now - state.idleSince >= idleLimit * 0.9 {
                    state.isClosed = true
                    return (nil, true)
                }
                return (nil, false)
            }
            if let signal { return signal }
            if ended || Task.isCancelled { return nil }
        }
    }

    private func wake() {
        state.withLock { state in
            defer { state.idle = nil }
            return state.idle
        }?.resume()
    }

    private func wakeWhenIdle() {
        guard !isClosed else { return }
        wake()  // it looks itself whether it is idle for long enough
        after(idleLimit) { desk in desk.wakeWhenIdle() }
    }

    private func give(_ received: ReceivedEnvelope) {
        let (taken, full, first, end) = state.withLock { state -> (Bool, Pull?, UInt64?, ContinuousClock.Instant?) in
            guard !state.isClosed, !state.pulls.isEmpty else { return (false, nil, nil, nil) }
            state.lastToken += 1
            let token = "\(number).\(secret).\(state.lastToken)"
            let end = ContinuousClock.now + state.pulls[0].lease
            state.leases[token] = Lease(settlement: received.settlement, end: end)
            state.pulls[0].got.append(Leased(token: token, received: received))
            state.pulls[0].bytes += received.envelope.payload.count
            let got = state.pulls[0].got.count
            guard got == state.pulls[0].most || state.pulls[0].bytes >= Self.answerBytes else {
                return (true, nil, got == 1 ? state.pulls[0].id : nil, end)
            }
            let pull = state.pulls.removeFirst()
            if state.pulls.isEmpty { state.idleSince = .now }
            return (true, pull, nil, end)
        }
        guard taken else { return received.settlement.release() }
        if let full {
            let signal = state.withLock { $0.pulls.isEmpty ? $0.noDemand : nil }
            signal?.request()
            full.continuation.resume(returning: .deliveries(full.got))
        }
        // More may be at hand: a pull that has one waits a moment for it, not longer.
        if let first { after(.milliseconds(3)) { desk in desk.finish(first) } }
        watchLeases(end)
    }

    /// Ends the desk: its pulls are answered, and what is leased goes back to the group.
    func close(_ error: ChannelError? = nil) {
        let (pulls, leases, idle, signal) = state.withLock { state in
            state.isClosed = true
            defer {
                state.pulls = []
                state.leases = [:]
                state.idle = nil
            }
            return (state.pulls, state.leases, state.idle, state.noDemand)
        }
        signal.request()
        closing.request()
        for lease in leases.values { lease.settlement.abandon() }
        for pull in pulls { pull.continuation.resume(returning: error.map(Answer.failed) ?? .closed) }
        idle?.resume()
    }

    // MARK: Leases

    /// Sees to it that a lease ends when its time is over. `end` is that of a lease that is new; nil: look at all.
    private func watchLeases(_ end: ContinuousClock.Instant? = nil) {
        let next = state.withLock { state -> ContinuousClock.Instant? in
            guard let next = end ?? state.leases.values.lazy.map(\.end).min() else { return nil }
            if let timer = state.timer, timer <= next { return nil }
            state.timer = next
            return next
        }
        if let next { after(max(.milliseconds(1), next - .now)) { desk in desk.endLeases(next) } }
    }

    private func endLeases(_ timer: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        let ended = state.withLock { state in
            if state.timer == timer { state.timer = nil }
            let ended = state.leases.filter { $0.value.end <= now }
            for token in ended.keys { state.leases[token] = nil }
            if !ended.isEmpty { state.idleSince = now }
            return ended
        }
        for lease in ended.values { lease.settlement.abandon() }
        watchLeases()
    }

    /// Takes a lease away to settle it; nil where there is none of that token.
    func take(_ token: String) -> (any DeliverySettlement)? {
        state.withLock { state in
            let lease = state.leases.removeValue(forKey: token)
            if state.leases.isEmpty { state.idleSince = .now }
            return lease?.settlement
        }
    }

    /// Whether there was such a lease to extend.
    func extend(_ token: String, to lease: Duration) -> Bool {
        let found = state.withLock { state in
            guard state.leases[token] != nil else { return false }
            state.leases[token]?.end = .now + lease
            return true
        }
        if found { watchLeases() }
        return found
    }
}
