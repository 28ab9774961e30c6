import CPosix
import Glibc
import Synchronization

/// Wakes a thread that serves sockets out of its `poll`; called from any thread, however often.
package final class WakeUp: Sendable {
    /// Whether a call must go through the descriptor: only when the thread sleeps or is about to.
    private enum State {
        static let turning = 0
        static let sleeping = 1
        static let called = 2
    }
    private let state = Atomic<Int>(State.turning)
    /// Becomes readable when the sleeping thread is called.
    package let descriptor: Int32

    /// Without a descriptor (none left in the process) the thread looks for work whenever its `poll` ends by itself.
    package init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    package func call() {
        guard state.exchange(State.called, ordering: .sequentiallyConsistent) == State.sleeping else { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// The thread begins a turn: whoever adds work after this calls again.
    package func beginTurn() { state.store(State.turning, ordering: .sequentiallyConsistent) }

    /// The thread is about to sleep. False when it was called since its turn began, and must not.
    package func maySleep() -> Bool {
        state.compareExchange(expected: State.turning, desired: State.sleeping, ordering: .sequentiallyConsistent).exchanged
    }

    /// After `poll` has said that the descriptor is readable.
    package func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}
