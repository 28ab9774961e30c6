import Autoscaler
import Foundation
import Glibc
import Lifecycle
import Locking
import Processes
import Telemetry
import TestSupport
import Testing

@testable import Orchestrators

@Suite(.timeLimit(.minutes(10))) struct LocalSupervisorTests {
    /// Runs a supervisor beside `body` and ends it in order.
    private static func with(
        _ scene: LocalScene, maximum: Int = 4, command: [String]? = nil, timing: WorkerTiming = WorkerTiming(ready: .milliseconds(50)),
        log: Log = .silent, drain: @escaping LocalSupervisor.Drain = { _, _, _ in [] }, _ body: (LocalSupervisor) async throws -> Void
    ) async throws {
        let settings = LocalSettings(
            policy: "orders", maximum: maximum, command: command ?? ["sh", scene.script],
            environment: ["PATH": "/usr/bin:/bin", "SCENE": scene.folder, "A": "b c", "with.dot": "x"], folder: scene.data, timing: timing)
        let supervisor = LocalSupervisor(settings, log: log, drain: drain)
        let (shutdown, started) = (ShutdownSignal(), ShutdownSignal())
        let task = Task {
            defer { started.request() }
            try await supervisor.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
        }
        await started.wait()
        let result: Result<Void, any Error>
        do { result = .success(try await body(supervisor)) } catch { result = .failure(error) }
        shutdown.request()
        try await task.value
        try result.get()
    }

    private static func order(_ count: Int) -> ScaleOrder {
        ScaleOrder(policy: "orders", seq: 1, term: 1, count: count, fence: nil, because: "a test wants it")
    }

    @Test func `starts and ends workers, each with a name of its own`() async throws {
        try await LocalScene.with(LocalScene.modest(places: 4)) { scene in
            try await Self.with(scene) { supervisor in
                #expect(try await supervisor.observe() == TargetObservation(InstanceCount(desired: 0, ready: 0, starting: 0)))
                #expect(try await supervisor.scale(Self.order(3)) == .applied(reference: nil))
                #expect(try await supervisor.scale(Self.order(3)) == .unchanged)
                try await eventually("three are ready") { try await supervisor.observe().count.ready == 3 }
                try await eventually("they say so") { Set(scene.lines("started")) == ["orders-1", "orders-2", "orders-3"] }
                // A name that shells drop is among them.
                for variable in ["CARILLON_POLICY=orders", "A=b c", "with.dot=x"] {
                    #expect(scene.workers.allSatisfy { ProcessIdentity(living: $0)?.wasStarted(with: variable) == true })
                }
                let youngest = scene.workers.max()
                #expect(try await supervisor.scale(Self.order(2)) == .applied(reference: nil))
                #expect(try await supervisor.observe().count.desired == 2)
                try await eventually("one has left") { scene.workers.count == 2 }
                #expect(!scene.workers.contains(try #require(youngest)))
                #expect(try await supervisor.scale(Self.order(99)) == .applied(reference: nil))
                try await eventually("as many as may be") { try await supervisor.observe().count.ready == 4 }
            }
            #expect(scene.workers.isEmpty && scene.text("violations") == "")
        }
    }

    @Test func `is told over the bus too, and one that acknowledges is not waited for`() async throws {
        try await LocalScene.with("trap '' TERM; echo x >>\"$SCENE/started\"; while :; do sleep 1000; done") { scene in
            let asked = Recorded<[String]>()
            let timing = WorkerTiming(ready: .zero, drain: .seconds(100_000), farewell: .zero)
            let settled = ShutdownSignal()
            try await Self.with(
                scene, timing: timing,
                drain: { policy, instances, limit in
                    asked.add([policy] + instances + ["\(limit.components.seconds)"])
                    await settled.wait()
                    return Set(instances)
                }
            ) { supervisor in
                _ = try await supervisor.scale(Self.order(2))
                try await eventually("two are ready, and do not listen") { scene.lines("started").count == 2 }
                try await eventually("two are ready") { try await supervisor.observe().count.ready == 2 }
                _ = try await supervisor.scale(Self.order(1))
                try await eventually("the question") { asked.all == [["orders", "orders-2", "100000"]] }
                #expect(scene.workers.count == 2)
                let count = try await supervisor.observe().count
                #expect(count == InstanceCount(desired: 1, ready: 1, starting: 0))
                settled.request()
                try await eventually("it is gone") { scene.workers.count == 1 }
            }
            #expect(scene.workers.isEmpty)
        }
    }

    @Test func `one that does not leave is killed at its deadline, with its children`() async throws {
        try await LocalScene.with("trap '' TERM; sleep 1000 & echo x >>\"$SCENE/started\"; while :; do sleep 1000; done") { scene in
            try await Self.with(scene, timing: WorkerTiming(ready: .zero, drain: .milliseconds(200))) { supervisor in
                _ = try await supervisor.scale(Self.order(1))
                try await eventually("it runs") { scene.lines("started").count == 1 }
                _ = try await supervisor.scale(Self.order(0))
                try await eventually("it is gone") { scene.workers.isEmpty && scene.isEmpty }
            }
        }
    }

    @Test func `children that outlive a worker are ended before its place is free`() async throws {
        // The worker leaves at once; its child has places in hand, and leaves a while after it was told.
        let script = """
            cd "$SCENE"
            sh -c 'exec 9>place; flock -n 9 || echo x >>violations; trap "echo told >>told; exit 0" TERM; while :; do sleep 0.05; done' &
            echo x >>started
            exec sleep 1000
            """
        try await LocalScene.with(script) { scene in
            let timing = WorkerTiming(ready: .milliseconds(50), firstPause: .milliseconds(1))
            try await Self.with(scene, maximum: 1, timing: timing) { supervisor in
                _ = try await supervisor.scale(Self.order(1))
                try await eventually("it runs") { scene.lines("started").count == 1 }
                kill(try #require(scene.workers.first), SIGKILL)
                try await eventually("its child is told, and another worker runs") {
                    scene.lines("told").count == 1 && scene.lines("started").count == 2
                }
            }
            #expect(scene.isEmpty && scene.text("violations") == "")
        }
    }

    @Test func `one that ends by itself is started again, and the observation says why`() async throws {
        try await LocalScene.with("echo x >>\"$SCENE/started\"; exit 127") { scene in
            let lines = Recorded<String>()
            let timing = WorkerTiming(ready: .seconds(1000), firstPause: .milliseconds(1), longestPause: .milliseconds(50))
            try await Self.with(scene, timing: timing, log: Log(part: "scaling") { _, line in lines.add(line) }) { supervisor in
                _ = try await supervisor.scale(Self.order(2))
                try await eventually("they are started again") { scene.lines("started").count >= 6 }
                try await eventually("the reason") {
                    try await supervisor.observe().pending?.contains("of 2 exited with status 127: command not found?") == true
                }
                let count = try await supervisor.observe().count
                #expect(count.desired == 2 && count.ready == 0 && count.starting == 2)
            }
            #expect(lines.all.contains { $0.contains("is started again") && $0.contains("orders-1") && $0.contains("127") })
        }
    }

    @Test func `a command that cannot be started is told, with its name`() async throws {
        try await LocalScene.with("") { scene in
            try await Self.with(scene, command: ["no-such-worker"]) { supervisor in
                _ = try await supervisor.scale(Self.order(1))
                let observation = try await supervisor.observe()
                #expect(observation.pending == "1 of 1 cannot be started: no-such-worker cannot be started: No such file or directory")
                #expect(observation.count == InstanceCount(desired: 1, ready: 0, starting: 1))
            }
        }
    }

    @Test func `no worker runs that is not written down`() async throws {
        try await LocalScene.with("echo x >>\"$SCENE/started\"; while :; do sleep 1000; done") { scene in
            let timing = WorkerTiming(ready: .milliseconds(50), firstPause: .milliseconds(1), longestPause: .milliseconds(50))
            try await Self.with(scene, timing: timing) { supervisor in
                _ = try await supervisor.scale(Self.order(1))
                try await eventually("it runs") { scene.lines("started").count == 1 }
                // A folder in the record's place: nothing can be written any more.
                let path = "\(scene.data)/orders.json"
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.createDirectory(atPath: path + "/x", withIntermediateDirectories: true)
                await #expect(throws: TargetError.self) { try await supervisor.scale(Self.order(3)) }
                #expect(try await supervisor.observe().count.desired == 1)
                // The one that is wanted is not started again either.
                kill(-(try #require(scene.workers.first)), SIGKILL)
                try await eventually("the reason") { try await supervisor.observe().pending?.contains("orders.json") == true }
                #expect(scene.lines("started").count == 1 && scene.workers.isEmpty)
                try FileManager.default.removeItem(atPath: path)
                try await eventually("it runs again") { scene.lines("started").count == 2 }
            }
        }
    }

    @Test(arguments: [false, true])
    func `a process that has no more than the number of a worker is let alone`(ofAnotherBoot: Bool) async throws {
        try await LocalScene.with(LocalScene.modest(places: 2)) { scene in
            let other = try HeldProcess(["sleep", "1000"], environment: ["PATH": "/usr/bin:/bin"])
            let ended = Recorded<Bool>()
            let child = try ChildProcess(watching: other.identifier, name: "sleep") { _ in ended.add(true) }
            other.release()
            defer { child.endGroup(SIGKILL) }
            let identity = try #require(ProcessIdentity(living: other.identifier))
            let entry = WorkerRecord.Entry(
                number: 1, process: ofAnotherBoot ? identity : ProcessIdentity(number: identity.number, start: identity.start - 1))
            try FileManager.default.createDirectory(atPath: scene.data, withIntermediateDirectories: true)
            try WorkerRecord(boot: ofAnotherBoot ? "another" : ProcessIdentity.boot, ordered: 2, entries: [entry])
                .write("\(scene.data)/orders.json", policy: "orders")
            try await Self.with(scene) { supervisor in
                // What was ordered before the machine went down is ordered still.
                try await eventually("two workers of its own") { scene.lines("started").count == 2 }
                let count = try await supervisor.observe().count
                #expect(count.desired == 2)
            }
            #expect(scene.workers.isEmpty && identity.isAlive && ended.all.isEmpty)
        }
    }

    @Test func `tells its watchers, and refuses when it does not run`() async throws {
        try await LocalScene.with(LocalScene.modest(places: 4)) { scene in
            let kept = Locked<LocalSupervisor?>(nil)
            try await Self.with(scene) { supervisor in
                kept.withLock { $0 = supervisor }
                let hints = Recorded<Int>()
                let watching = Task { await supervisor.watch { hints.add(1) } }
                try await eventually("hints") {
                    _ = try await supervisor.scale(Self.order(1))
                    _ = try await supervisor.scale(Self.order(2))
                    return !hints.all.isEmpty
                }
                watching.cancel()
                await watching.value
            }
            let supervisor = try #require(kept.withLock { $0 })
            let error = await #expect(throws: TargetError.self) { try await supervisor.observe() }
            #expect(error?.kind == .unavailable && error?.message.contains("start the server again") == true)
            await #expect(throws: TargetError.self) { try await supervisor.run(ServiceLife()) }
        }
        let idle = LocalSupervisor(LocalSettings(policy: "p", maximum: 1, command: ["x"], environment: [:], folder: "/nowhere"))
        let error = await #expect(throws: TargetError.self) { try await idle.scale(Self.order(1)) }
        #expect(error?.kind == .unavailable)
    }

    @Test func `cancelled, it kills what is left`() async throws {
        try await LocalScene.with("trap '' TERM; echo x >>\"$SCENE/started\"; while :; do sleep 1000; done") { scene in
            let settings = LocalSettings(
                policy: "orders", maximum: 2, command: ["sh", scene.script], environment: ["PATH": "/usr/bin:/bin", "SCENE": scene.folder],
                folder: scene.data, timing: WorkerTiming(drain: .seconds(100_000)))
            let supervisor = LocalSupervisor(settings)
            let task = Task { try await supervisor.run(ServiceLife()) }
            try await eventually("it runs") { (try? await supervisor.scale(Self.order(2))) != nil }
            try await eventually("two workers") { scene.lines("started").count == 2 }
            task.cancel()
            try await task.value
            try await eventually("they are gone") { scene.isEmpty }
        }
    }
}
