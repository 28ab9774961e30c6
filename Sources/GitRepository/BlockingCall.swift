import CGit2
import Glibc
import Locking

/// One call of a C library that may wait on a socket for ever, and the way to end it: a signal without effect makes the system call that the
/// thread waits in return, and the library gives up. It is sent again and again, since one can come between two calls.
final class BlockingCall: Sendable {
    private struct State: @unchecked Sendable {  // a thread id is a number
        var thread: pthread_t?
        var deadline: ContinuousClock.Instant?
        /// Sockets to the port that others had before.
        var others: Set<Int32> = []
    }
    private let state = Locked(State())
    /// Of an ssh server: its library does not mind signals, so that its socket is cut.
    private let port: UInt16?

    init(sshPort port: UInt16?) { self.port = port }

    /// Runs `body` on the calling thread, which `interruptIfLate` may disturb until it returns.
    func run<T>(for limit: Duration, _ body: (ContinuousClock.Instant) -> T) -> T {
        let deadline = ContinuousClock.now + limit
        _ = carillon_prepare_interrupts()
        let thread = pthread_self()
        let others = port.map { ConnectedSockets.descriptors(to: $0) } ?? []
        state.withLock { $0 = State(thread: thread, deadline: deadline, others: others) }
        defer { state.withLock { $0 = State() } }
        return body(deadline)
    }

    /// Disturbs the call when its time is over; from any thread. Under the lock, so that the thread is still in the call.
    func interruptIfLate() {
        state.withLock { state in
            guard let thread = state.thread, let deadline = state.deadline, ContinuousClock.now >= deadline else { return }
            pthread_kill(thread, carillon_interrupt_signal())
            guard let port else { return }
            for descriptor in ConnectedSockets.descriptors(to: port).subtracting(state.others) { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// Looks after the call until cancelled.
    func watch() async {
        while !Task.isCancelled {
            interruptIfLate()
            try? await Task.sleep(for: .milliseconds(100))
        }
    }
}
