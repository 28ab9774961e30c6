import CPosix
import Glibc
import Locking

/// How an idle `ThreadExecutor` waits. A C library with a socket of its own parks in `poll` on that socket and a wake-up descriptor.
package protocol Parking: Sendable {
    /// Called on the executor's thread when no job waits; returns at the latest after `wake()` was called, whether before or during the call.
    /// May do the library's own work (read its socket) before it returns.
    func park()
    /// Called from any thread, possibly many times for one `park()`.
    func wake()
}

/// One named thread as a serial and task executor: the place for C libraries that block or must stay on one thread.
///
/// An actor that returns it from `unownedExecutor` runs on it; `run(_:)` moves one closure there. Jobs run in the order in which they came.
/// The thread ends after `stop()`, when the jobs that were queued before have run.
package final class ThreadExecutor: SerialExecutor, TaskExecutor {
    private enum Job: Sendable {
        case task(UnownedJob)
        case closure(@Sendable () -> Void)
    }
    private struct State {
        var jobs: [Job] = []
        var stopped = false
    }

    private let state = Locked(State())
    private let parking: any Parking
    package let name: String

    /// Starts the thread. `name` is cut to the 15 bytes that Linux shows.
    package init(name: String, parking: any Parking = ConditionParking()) {
        self.name = name
        self.parking = parking
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let executor = Unmanaged<ThreadExecutor>.fromOpaque(raw).takeRetainedValue()
                executor.loop()
                return nil
            }, box.toOpaque())
        // No thread means no memory or a limit of the system reached at start: nothing that needs this executor could ever run.
        precondition(failed == 0, "cannot start thread \(name): error \(failed); raise the limit of processes")
        pthread_detach(thread)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        push(.task(UnownedJob(job)))
    }

    /// Runs `body` on the thread and returns what it returned. Not interruptible: cancellation has no effect on a C call under way.
    package func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            push(.closure { continuation.resume(with: Result { try body() }) })
        }
    }

    /// Runs `body` on the thread and does not wait for it.
    package func submit(_ body: @escaping @Sendable () -> Void) {
        push(.closure(body))
    }

    /// Ends the thread after the jobs already queued. Jobs that come later are still run, on the stopping thread's last turn, or never.
    package func stop() {
        state.withLock { $0.stopped = true }
        parking.wake()
    }

    private func push(_ job: Job) {
        state.withLock { $0.jobs.append(job) }
        parking.wake()
    }

    private func loop() {
        carillon_name_this_thread(String(name.utf8.prefix(15)) ?? "carillon")
        while true {
            let (jobs, stopped) = state.withLock { state in
                let jobs = state.jobs
                state.jobs.removeAll(keepingCapacity: true)
                return (jobs, state.stopped)
            }
            for job in jobs {
                switch job {
                case .task(let job):
                    job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
                case .closure(let body): body()
                }
            }
            if jobs.isEmpty {
                if stopped { return }
                parking.park()
            }
        }
    }
}

/// Parks on a condition variable: for threads that only run jobs.
package final class ConditionParking: Parking, @unchecked Sendable {  // the two pthread objects are made for use from several threads
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var awake = false  // under mutex

    package init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        condition.deallocate()
    }

    package func park() {
        pthread_mutex_lock(mutex)
        while !awake { pthread_cond_wait(condition, mutex) }
        awake = false
        pthread_mutex_unlock(mutex)
    }

    package func wake() {
        pthread_mutex_lock(mutex)
        awake = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}
