import Lifecycle
import Locking

/// The events that a batch consumer has in hand: fetched and not yet settled. Bounded by `capacity`: fetching waits for room.
final class BatchHand: Sendable {
    private struct State {
        var schedule = BatchSchedule<ReceivedEnvelope>()
        var isClosed = false
        /// Requested when that many events are free to run, or the hand is closed.
        var wanted: (count: Int, signal: ShutdownSignal)?
        var room: ShutdownSignal?
        var unfinished: [ReceivedEnvelope] = []
        var stopReason: String?

        /// The signal to request after a change, if its condition holds.
        mutating func satisfied() -> ShutdownSignal? {
            guard let wanted, isClosed || schedule.hasFree(wanted.count) else { return nil }
            self.wanted = nil
            return wanted.signal
        }
    }
    private let state = Locked(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    func add(_ received: ReceivedEnvelope) {
        state.withLock { state in
            state.schedule.add(received, key: received.envelope.key)
            return state.satisfied()
        }?.request()
    }

    /// Waits until `count` events are free to run. False when the hand is closed.
    func until(_ count: Int) async -> Bool {
        await wait(for: count) { await $0.wait() }
        return !state.withLock { $0.isClosed } && !Task.isCancelled
    }

    /// Waits until `count` events are free to run or the time is over.
    func until(_ count: Int, atMost limit: Duration) async { await wait(for: count) { await $0.wait(atMost: limit) } }

    /// One waiter at a time.
    private func wait(for count: Int, _ wait: (ShutdownSignal) async -> Void) async {
        let signal = ShutdownSignal()
        let now = state.withLock { state in
            if state.isClosed || state.schedule.hasFree(count) { return true }
            state.wanted = (count, signal)
            return false
        }
        if !now { await wait(signal) }
    }

    func take(_ size: Int) -> [ReceivedEnvelope] { state.withLock { $0.isClosed ? [] : $0.schedule.take(size) } }

    func finish(_ batch: [ReceivedEnvelope]) {
        let (wanted, room) = state.withLock { state in
            state.schedule.finish(batch.map(\.envelope.key))
            let room = state.room
            state.room = nil
            return (state.satisfied(), room)
        }
        wanted?.request()
        room?.request()
    }

    /// Waits until there is room for one more event. False when the hand is closed.
    func untilRoom() async -> Bool {
        while !Task.isCancelled {
            let signal = ShutdownSignal()
            let now: Bool? = state.withLock { state in
                if state.isClosed { return false }
                if state.schedule.count < capacity { return true }
                state.room = signal
                return nil
            }
            if let now { return now }
            await signal.wait()
        }
        return false
    }

    /// No further batch is started.
    func close() {
        let (wanted, room) = state.withLock { state in
            state.isClosed = true
            return (state.satisfied(), state.room)
        }
        wanted?.request()
        room?.request()
    }

    /// Puts an event aside that its handler has begun and not ended.
    func keep(_ received: ReceivedEnvelope) { state.withLock { $0.unfinished.append(received) } }

    /// Tells why nothing further is to be handled; the first reason counts.
    func stop(_ reason: String) { state.withLock { $0.stopReason = $0.stopReason ?? reason } }
    var stopReason: String? { state.withLock { $0.stopReason } }

    /// Gives all that was not settled back to the broker.
    func giveBack() {
        let (unfinished, unseen) = state.withLock { state in
            let all = (state.unfinished, state.schedule.removeWaiting())
            state.unfinished = []
            return all
        }
        for received in unfinished { received.settlement.abandon() }
        for received in unseen { received.settlement.release() }
    }
}
