import Lifecycle
import Locking
import Testing
import TestSupport

/// Says in a shared journal what happens to it.
private struct Recorded: Service {
    let name: String
    let journal: Journal
    var fails = false
    var startsLate: ShutdownSignal?
    var ignoresShutdown = false

    func run(_ life: ServiceLife) async throws {
        journal.add("\(name) runs")
        if let startsLate { await startsLate.wait() }
        if fails { throw Broken() }
        life.started()
        if ignoresShutdown {
            try await Task.sleep(for: .seconds(3600))
        }
        await life.untilShutdown()
        journal.add("\(name) ends")
    }
}

private struct Broken: Error {}

private final class Journal: Sendable {
    private let lines = Locked<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

@Suite(.timeLimit(.minutes(1))) struct ServiceGroupTests {
    @Test func `services start in order, each when the one before is ready, and stop in reverse`() async throws {
        let journal = Journal()
        let gate = ShutdownSignal()
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        let group = ServiceGroup([
            Recorded(name: "a", journal: journal, startsLate: gate), Recorded(name: "b", journal: journal),
            Recorded(name: "c", journal: journal),
        ])
        async let running: Void = group.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
        try await eventually { journal.all == ["a runs"] }
        #expect(!started.isRequested)
        gate.request()
        await started.wait()
        #expect(journal.all == ["a runs", "b runs", "c runs"])
        shutdown.request()
        try await running
        #expect(journal.all.suffix(3) == ["c ends", "b ends", "a ends"])
    }

    @Test func `a service that fails ends the others in reverse and is named`() async throws {
        let journal = Journal()
        let group = ServiceGroup([
            Recorded(name: "a", journal: journal), Recorded(name: "b", journal: journal),
            Recorded(name: "c", journal: journal, fails: true),
            Recorded(name: "d", journal: journal),
        ])
        let error = await #expect(throws: ServiceFailure.self) { try await group.run(ServiceLife()) }
        #expect(error?.service == "c")
        #expect(journal.all == ["a runs", "b runs", "c runs", "b ends", "a ends"])
    }

    @Test func `a service that does not end in time is cancelled`() async throws {
        let journal = Journal()
        let shutdown = ShutdownSignal()
        let group = ServiceGroup(
            [Recorded(name: "a", journal: journal), Recorded(name: "stubborn", journal: journal, ignoresShutdown: true)],
            shutdownLimit: .milliseconds(50))
        async let running: Void = group.run(ServiceLife(shutdown: shutdown, onStarted: { shutdown.request() }))
        try await running
        #expect(journal.all.contains("stubborn runs"))
        #expect(!journal.all.contains("stubborn ends"))
    }

    @Test func `a group that is cancelled ends`() async throws {
        let journal = Journal()
        let group = ServiceGroup([Recorded(name: "a", journal: journal)])
        let task = Task { try await group.run(ServiceLife()) }
        try await eventually { journal.all == ["a runs"] }
        task.cancel()
        _ = await task.result
    }

    @Test func `work is cancelled on shutdown, and work that ends first gives its result`() async throws {
        let shutdown = ShutdownSignal()
        let life = ServiceLife(shutdown: shutdown)
        #expect(try await life.cancelOnShutdown { 7 } == 7)
        async let cut: Int? = life.cancelOnShutdown {
            try await Task.sleep(for: .seconds(3600))
            return 1
        }
        shutdown.request()
        #expect(try await cut == nil)
    }

    @Test func `a thousand waiters of a signal are woken once, cancelled ones leave at once`() async {
        let signal = ShutdownSignal()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<1000 { group.addTask { await signal.wait() } }
            signal.request()
            signal.request()
        }
        let other = ShutdownSignal()
        let task = Task { await other.wait() }
        task.cancel()
        await task.value
    }
}
