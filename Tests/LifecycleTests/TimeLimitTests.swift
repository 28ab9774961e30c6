import Lifecycle
import Locking
import TestSupport
import Testing

/// Work that may take so long and no longer.
@Suite struct TimeLimitTests {
    private struct Broken: Error {}

    @Test func `what ends in time is the answer, also when it throws`() async throws {
        #expect(await withTimeLimit(.seconds(600)) { 7 } == 7)
        await #expect(throws: Broken.self) { try await withTimeLimit(.seconds(600)) { throw Broken() } }
    }

    @Test func `what takes longer is cancelled, waited for, and no answer`() async {
        let isOver = Locked(false)
        let answer = await withTimeLimit(.milliseconds(20)) {
            await ShutdownSignal().wait()  // until cancelled
            isOver.withLock { $0 = true }
            return 7
        }
        #expect(answer == nil)
        #expect(isOver.withLock { $0 })
    }

    @Test func `a cancelled caller gets what the work ends with, not the end of the time`() async throws {
        let started = ShutdownSignal()
        let task = Task {
            await withTimeLimit(.seconds(600)) {
                started.request()
                await ShutdownSignal().wait()
                return 7
            }
        }
        await started.wait()
        task.cancel()
        #expect(await task.value == 7)
    }

    @Test func `a time that begins with the shutdown does not end what goes on before`() async throws {
        let shutdown = ShutdownSignal()
        let isOver = Locked(false)
        let begun = ShutdownSignal()
        let task = Task {
            await withTimeLimit(.milliseconds(20), after: shutdown) {
                begun.request()
                await ShutdownSignal().wait()  // until cancelled
                isOver.withLock { $0 = true }
            }
        }
        await begun.wait()
        await ShutdownSignal().wait(atMost: .milliseconds(200))  // ten times the limit, without a shutdown
        #expect(!isOver.withLock { $0 })
        #expect(await withTimeLimit(.milliseconds(20), after: shutdown) { 7 } == 7)
        shutdown.request()
        #expect(await task.value == nil)
        #expect(isOver.withLock { $0 })
    }
}
