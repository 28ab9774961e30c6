import Locking
import ThreadExecutor

/// What a thread does. Every call comes on it.
protocol KafkaRole: AnyObject, Sendable {
    var purpose: String { get }
    var wakeUp: WakeUp { get }
    /// Does what is at hand. Returns how long there will be nothing to do unless somebody calls; nil: there is more at once.
    func turn() -> Duration?
    /// Ends in order, within bounds. No more calls will come.
    func finish()
}

/// The thread of one client of the library, from `start()` to `end()`.
final class KafkaThread: Parking, @unchecked Sendable {  // what is not in the lock is never written
    private struct Control {
        var executor: ThreadExecutor?
        var ending = false
        var ended = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let role: any KafkaRole
    private let control = Locked(Control())

    init(_ role: any KafkaRole) { self.role = role }

    /// Once.
    func start() {
        let executor = ThreadExecutor(name: "kafka-\(role.purpose)", parking: self)
        control.withLock { $0.executor = executor }
    }

    /// Asks the thread to end and waits until it has.
    func end() async {
        await withCheckedContinuation { continuation in
            let done = control.withLock { control in
                if control.ended || control.executor == nil {
                    control.ended = true
                    return true
                }
                control.ending = true
                control.waiters.append(continuation)
                return false
            }
            if done { continuation.resume() } else { wake() }
        }
    }

    func wake() { role.wakeUp.call() }

    func park() {
        role.wakeUp.beginTurn()
        if control.withLock({ $0.ending }) { return finish() }
        if let limit = role.turn() { role.wakeUp.sleep(atMost: limit) }
    }

    private func finish() {
        role.finish()
        let (executor, waiters) = control.withLock { control in
            let result = (control.executor, control.waiters)
            control.executor = nil
            control.ended = true
            control.waiters = []
            return result
        }
        executor?.stop()
        for waiter in waiters { waiter.resume() }
    }
}
