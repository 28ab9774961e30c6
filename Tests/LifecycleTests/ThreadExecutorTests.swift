import Dispatch
import Glibc
import Locking
import TestSupport
import Testing
import ThreadExecutor

private actor Pinned {
    let executor: ThreadExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    private var count = 0
    init(_ executor: ThreadExecutor) { self.executor = executor }
    func work() -> (thread: pthread_t, count: Int) {
        count += 1
        return (pthread_self(), count)
    }
    func wait(for gate: Gate) { gate.wait() }
}

@Suite(.timeLimit(.minutes(1))) struct ThreadExecutorTests {
    @Test func `an actor on an executor always runs on its one thread`() async {
        let executor = ThreadExecutor(name: "test-pinned")
        defer { executor.stop() }
        let pinned = Pinned(executor)
        var threads: Set<pthread_t> = []
        for expected in 1...200 {
            let (thread, count) = await pinned.work()
            threads.insert(thread)
            #expect(count == expected)
        }
        #expect(threads.count == 1)
        let closure = try? await executor.run { pthread_self() }
        #expect(closure == threads.first)
    }

    @Test func `closures run in the order in which they came, and errors come back`() async throws {
        struct Failed: Error {}
        let executor = ThreadExecutor(name: "test-order")
        defer { executor.stop() }
        let seen = Box()
        for index in 0..<1000 { executor.submit { seen.values.withLock { $0.append(index) } } }
        await #expect(throws: Failed.self) { try await executor.run { throw Failed() } }
        #expect(seen.values.withLock { $0 } == Array(0..<1000))
    }

    @Test func `calls that block on executors leave the cooperative pool free`() async {
        let executors = (0..<8).map { ThreadExecutor(name: "test-block-\($0)") }
        let gate = Gate()
        await withTaskGroup(of: Void.self) { group in
            for executor in executors { group.addTask { await Pinned(executor).wait(for: gate) } }
            // Runs on the pool while all eight block: would never come to run if they blocked it.
            group.addTask { for _ in executors { gate.open() } }
        }
        for executor in executors { executor.stop() }
    }

    @Test func `the watchdog notices a blocked pool`() async throws {
        let watchdog = PoolWatchdog(interval: .milliseconds(5))
        defer { watchdog.stop() }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { usleep(150_000) } }
        }
        try await eventually { watchdog.slowest >= .milliseconds(50) }
    }
}

/// A semaphore: what a blocking C call waits for.
private final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func open() { semaphore.signal() }
    func wait() { semaphore.wait() }
}

private final class Box: Sendable {
    let values = Locked<[Int]>([])
}
