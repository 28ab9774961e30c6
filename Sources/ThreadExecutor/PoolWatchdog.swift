import CPosix
import Glibc
import Locking

/// Notices a blocked cooperative pool: a thread of its own hands the pool a tiny task every `interval` and keeps how long the slowest took to start.
///
/// A blocking C call on the pool starves every other task of the process (the pool has one thread per core), and nothing else would show it.
package final class PoolWatchdog: Sendable {
    private struct State {
        var slowest: Duration = .zero
        var stopped = false
    }
    private let state = Locked(State())

    /// Starts watching. `report` is called from the watching thread for each probe that took longer than `limit` to start.
    package init(
        interval: Duration = .milliseconds(50), limit: Duration = .milliseconds(250),
        report: @escaping @Sendable (Duration) -> Void = { _ in }
    ) {
        let executor = ThreadExecutor(name: "pool-watchdog")
        executor.submit { [self] in
            let clock = ContinuousClock()
            while !state.withLock({ $0.stopped }) {
                let asked = clock.now
                let started = Locked<ContinuousClock.Instant?>(nil)
                let box = Probe(started)
                Task.detached { box.started.withLock { $0 = ContinuousClock().now } }
                var late = Duration.zero
                while true {
                    usleep(UInt32(interval.components.attoseconds / 1_000_000_000_000) + UInt32(interval.components.seconds * 1_000_000))
                    if let at = box.started.withLock({ $0 }) {
                        late = at - asked
                        break
                    }
                    if state.withLock({ $0.stopped }) { break }
                }
                state.withLock { $0.slowest = max($0.slowest, late) }
                if late > limit { report(late) }
            }
            executor.stop()
        }
    }

    /// The longest that a task waited for a thread of the pool since the start.
    package var slowest: Duration { state.withLock { $0.slowest } }

    package func stop() { state.withLock { $0.stopped = true } }
}

private final class Probe: Sendable {
    let started: Locked<ContinuousClock.Instant?>
    init(_ started: consuming sending Locked<ContinuousClock.Instant?>) { self.started = started }
}
