import CPosix
import Glibc
import Synchronization

/// Wakes a thread from `poll`, by a task or by a queue of the library; a task costs a system call only while the thread sleeps or is about to.
final class WakeUp: Sendable {
    private enum State {
        static let turning = 0
        static let sleeping = 1
        static let called = 2
    }
    private let state = Atomic<Int>(State.turning)
    /// The library writes to it when a queue is no longer empty.
    let descriptor: Int32

    /// Without a descriptor (none left in the process) the thread looks for work whenever its `poll` ends by itself.
    init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func call() {
        guard state.exchange(State.called, ordering: .sequentiallyConsistent) == State.sleeping else { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// The thread begins a turn: whoever adds work after this calls again.
    func beginTurn() { state.store(State.turning, ordering: .sequentiallyConsistent) }

    /// Returns when called, when a queue has something, or after the limit.
    func sleep(atMost limit: Duration) {
        guard state.compareExchange(expected: State.turning, desired: State.sleeping, ordering: .sequentiallyConsistent).exchanged else {
            return
        }
        var descriptors = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        _ = poll(&descriptors, 1, Int32(clamping: limit.milliseconds + 1))
        if descriptors[0].revents != 0 {
            var count: UInt64 = 0
            _ = read(descriptor, &count, 8)
        }
    }
}
