import Glibc
import Locking
import Synchronization
import ThreadExecutor

/// Lets another thread cut a connection whose own thread hangs in a send: the library sends without a time limit.
final class SocketGuard: Sendable {
    private let descriptor = Locked<Int32>(-1)
    private let sendingSince = Atomic<UInt64>(0)

    func hold(_ descriptor: Int32) { self.descriptor.withLock { $0 = descriptor } }

    /// Must be called before the descriptor is closed, so that `cut` never hits one that was given to something else.
    func release() { descriptor.withLock { $0 = -1 } }

    func sending(_ now: Bool) { sendingSince.store(now ? Monotonic.now : 0, ordering: .relaxed) }

    /// Shuts the connection when a send has been under way for longer than `limit`; returns whether it did.
    func cut(after limit: Duration) -> Bool {
        let since = sendingSince.load(ordering: .relaxed)
        guard since != 0, Monotonic.now > since, Monotonic.now - since > limit.nanoseconds else { return false }
        return descriptor.withLock { $0 >= 0 && shutdown($0, Int32(SHUT_RDWR)) == 0 }
    }
}
