package import Bus
import Locking
package import Telemetry

/// Watches a bus and knows who runs what.
package final class FleetConvergence: Sendable {
    private struct State {
        var ledger: PropagationLedger
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var next: UInt64 = 0
        /// Counts changes of the ledger, so that a waiter misses none between looking and waiting.
        var generation: UInt64 = 0
    }
    private let state: Locked<State>
    private let now: @Sendable () -> Timestamp

    package init(limits: PropagationLedger.Limits = .init(), now: @escaping @Sendable () -> Timestamp = { .now }) {
        state = Locked(State(ledger: PropagationLedger(limits: limits)))
        self.now = now
    }

    /// Takes in what happens on the bus from now on, and asks all instances to report when the subscription is established: a server that has
    /// just started knows nobody.
    package func watch(_ bus: EventBus) {
        bus.observe { [self, weak bus] observation in
            switch observation {
            case .sent(let message), .received(let message, _): record(message)
            case .ready, .gap: bus?.callRoll()
            case .refused: break
            }
        }
    }

    package func record(_ message: BusMessage) {
        let time = now()
        let waiters = state.withLock { state in
            guard state.ledger.record(message, at: time) else { return [CheckedContinuation<Void, Never>]() }
            state.generation += 1
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// What is known at this moment.
    package var ledger: PropagationLedger { state.withLock { $0.ledger } }

    /// The bus ids of all known instances, sorted.
    package var knownIDs: [String] { state.withLock { $0.ledger.instances.keys.sorted() } }

    package var time: Timestamp { now() }

    /// Waits until `condition` holds of the ledger, or `limit` is over; returns whether it held. Returns false when the task is cancelled.
    package func wait(atMost limit: Duration, until condition: @Sendable (PropagationLedger, Timestamp) -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while !Task.isCancelled {
            let (ledger, generation) = state.withLock { ($0.ledger, $0.generation) }
            if condition(ledger, now()) { return true }
            guard ContinuousClock.now < deadline else { return false }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.change(after: generation) }
                group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
                await group.next()
                group.cancelAll()
            }
            // The answers of a fleet come in a burst: look once at many of them.
            try? await Task.sleep(until: min(deadline, .now + .milliseconds(20)), clock: .continuous)
        }
        return false
    }

    private func change(after generation: UInt64) async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.generation != generation || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
