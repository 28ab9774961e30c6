import Locking

/// The events that a consumer has in hand: fetched and not yet settled. Bounded by `capacity`: fetching waits for room.
final class Hand: Sendable {
    private struct State {
        var schedule: LaneSchedule<ReceivedEnvelope>
        var isClosed = false
        var workers: [CheckedContinuation<LaneSchedule<ReceivedEnvelope>.Entry?, Never>] = []
        var fetcher: CheckedContinuation<Bool, Never>?
        /// Never settled: to be given back when the subscription has ended.
        var unfinished: [ReceivedEnvelope] = []
        var unseen: [ReceivedEnvelope] = []
        var stopReason: String?
    }
    private let state: Locked<State>
    private let capacity: Int

    init(width: Int, capacity: Int) {
        state = Locked(State(schedule: LaneSchedule(width: width)))
        self.capacity = max(1, capacity)
    }

    func add(_ received: ReceivedEnvelope) {
        let start = state.withLock { state in
            state.schedule.add(received, key: received.envelope.key)
            return Self.startOne(&state)
        }
        start()
    }

    /// The next event to handle. Nil when the hand is closed: what has not been started then is not started any more.
    func next() async -> LaneSchedule<ReceivedEnvelope>.Entry? {
        await withCheckedContinuation { continuation in
            let start = state.withLock { state in
                state.workers.append(continuation)
                return Self.startOne(&state)
            }
            start()
        }
    }

    func finish(_ entry: LaneSchedule<ReceivedEnvelope>.Entry) {
        let (start, fetcher) = state.withLock { state in
            state.schedule.finish(entry)
            let fetcher = state.fetcher
            state.fetcher = nil
            return (Self.startOne(&state), fetcher)
        }
        start()
        fetcher?.resume(returning: true)
    }

    /// Waits until there is room for one more event. False when the hand is closed.
    func untilRoom() async -> Bool {
        await withCheckedContinuation { continuation in
            let now: Bool? = state.withLock { state in
                if state.isClosed { return false }
                if state.schedule.count < capacity { return true }
                state.fetcher = continuation
                return nil
            }
            if let now { continuation.resume(returning: now) }
        }
    }

    /// No further event is started; those in the hands of workers are ended.
    func close() {
        let (workers, fetcher) = state.withLock { state in
            state.isClosed = true
            state.unseen += state.schedule.removeWaiting()
            let waiting = (state.workers, state.fetcher)
            state.workers = []
            state.fetcher = nil
            return waiting
        }
        for worker in workers { worker.resume(returning: nil) }
        fetcher?.resume(returning: false)
    }

    /// Puts an event aside that its handler has begun and not ended.
    func keep(_ received: ReceivedEnvelope) { state.withLock { $0.unfinished.append(received) } }

    /// Puts an event aside that no handler has begun.
    func putBack(_ received: ReceivedEnvelope) { state.withLock { $0.unseen.append(received) } }

    /// Tells why nothing further is to be handled; the first reason counts.
    func stop(_ reason: String) { state.withLock { $0.stopReason = $0.stopReason ?? reason } }
    var stopReason: String? { state.withLock { $0.stopReason } }

    /// Gives all that was not settled back to the broker.
    func giveBack() {
        let (unfinished, unseen) = state.withLock { state in
            let all = (state.unfinished, state.unseen)
            (state.unfinished, state.unseen) = ([], [])
            return all
        }
        for received in unfinished { received.settlement.abandon() }
        for received in unseen { received.settlement.release() }
    }

    /// Pairs a waiting worker with an event that may run. Continuations are resumed outside the lock.
    private static func startOne(_ state: inout State) -> @Sendable () -> Void {
        var started: [(CheckedContinuation<LaneSchedule<ReceivedEnvelope>.Entry?, Never>, LaneSchedule<ReceivedEnvelope>.Entry?)] = []
        if state.isClosed {
            started = state.workers.map { ($0, nil) }
            state.workers = []
        } else {
            while !state.workers.isEmpty, let entry = state.schedule.start() { started.append((state.workers.removeFirst(), entry)) }
        }
        let all = started
        return { for (worker, entry) in all { worker.resume(returning: entry) } }
    }
}
