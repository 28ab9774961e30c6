package import Autoscaler
internal import Lifecycle
internal import Processes
package import Telemetry
internal import ThreadExecutor

/// Runs the workers of one policy as processes of this machine: the orchestrator where there is no other.
///
/// A worker is the policy's command, in a process group of its own, with `CARILLON_SERVER`, `CARILLON_POLICY` and `CARILLON_INSTANCE`
/// (`orders-1`, unique among the living) in its environment, nothing on its standard input, and the server's output and error as its own. It runs
/// until it is told to end; one that ends by itself is started again after a pause that doubles from 1 s to 60 s until it has run well. It counts
/// as ready when it has run for a second.
///
/// A lower count takes those that are still starting, then the youngest. They are told over the bus (`drain`) and by SIGTERM, which goes to
/// the process itself: it knows what its children do. They have until the deadline, then SIGKILL ends the whole group; children that outlive their
/// worker are told to end in the same way, and their place is free only when they have gone. Meanwhile none of them counts, but there are never
/// more than `maximum` processes, these included: new ones wait.
///
/// Workers outlive a server that is killed. Who they are stands in `DATA/workers/POLICY.json` before any of them runs its command, so that the
/// next server finds every one, takes it over by number and start of its process, and starts none twice. An orderly end of the server drains
/// and ends them all; whatever then is still there when the server must go is killed.
package actor LocalSupervisor: ScalingTarget, Service {
    /// Tells these instances over the bus to drain, and returns those that acknowledged within the limit.
    package typealias Drain = @Sendable (_ policy: String, _ instances: [String], _ limit: Duration) async -> Set<String>

    enum Stage { case idle, running, ending, over }
    enum Event: Sendable {
        case exited(Int, process: Int32, ProcessExit?)
        case acknowledged(Set<String>)
        /// There may be something to do.
        case wake
        /// This moment has come.
        case moment(Duration)
        case end
    }
    /// One that has a process, or children that one has left behind.
    struct Running {
        let process: ProcessIdentity
        /// Nil: it is gone.
        var child: ChildProcess?
        /// It has left children behind.
        var end: Crew.Failure?
        var isTold = false
    }
    struct Farewell: Sendable {
        var instances: [String]
        var limit: Duration
    }

    nonisolated package let name: String
    nonisolated let settings: LocalSettings
    let drain: Drain
    let log: Log
    private let thread: SupervisorThread
    /// No more than a few for each process.
    let events: AsyncStream<Event>
    let input: AsyncStream<Event>.Continuation

    var stage = Stage.idle
    var crew: Crew
    var running: [Int: Running] = [:]
    var lock: PolicyLock?
    var boot: String?
    var saved: WorkerRecord?
    /// Told by SIGTERM, and now to be told over the bus.
    var farewells: [Farewell] = []
    var generator = SystemRandomNumberGenerator()
    private var watchers: [Int: @Sendable () -> Void] = [:]
    private var nextWatcher = 0
    private var shown: TargetObservation?

    nonisolated package var unownedExecutor: UnownedSerialExecutor { thread.executor.asUnownedSerialExecutor() }

    package init(
        _ settings: LocalSettings, thread: SupervisorThread = SupervisorThread(), log: Log = .silent,
        drain: @escaping Drain = { _, _, _ in [] }
    ) {
        name = "local \(settings.policy)"
        self.settings = settings
        self.thread = thread
        self.log = log
        self.drain = drain
        crew = Crew(settings.timing, maximum: settings.maximum)
        (events, input) = AsyncStream.makeStream()
    }

    static var now: Duration { .nanoseconds(Int64(clamping: Monotonic.now)) }

    // MARK: The target

    package func observe() async throws(TargetError) -> TargetObservation {
        try demandRunning()
        return crew.observation
    }

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        try demandRunning()
        guard stage == .running else { throw TargetError(.unavailable, "\(name): the server is ending, and its workers with it") }
        var next = crew
        let actions = next.order(order.count, now: Self.now)
        guard next.ordered != crew.ordered else { return .unchanged }
        // A server that is killed right after this does the same again from what is written, and not the half of it.
        do { try save(next) } catch { throw TargetError(.unavailable, "\(name): the count is not taken, for \(error)") }
        log.info("the count of workers is set", ["policy": settings.policy, "from": "\(crew.ordered)", "to": "\(next.ordered)"])
        crew = next
        perform(actions)
        step()
        input.yield(.wake)
        return .applied(reference: nil)
    }

    private func demandRunning() throws(TargetError) {
        switch stage {
        case .running, .ending: return
        case .idle: throw TargetError(.unavailable, "\(name): its supervisor has not started yet: look again in a moment")
        case .over: throw TargetError(.unavailable, "\(name): its supervisor has ended: start the server again")
        }
    }

    nonisolated package func watch(_ changed: @escaping @Sendable () -> Void) async {
        let id = await add(changed)
        await ShutdownSignal().wait()  // until cancelled
        await remove(id)
    }

    private func add(_ watcher: @escaping @Sendable () -> Void) -> Int {
        nextWatcher += 1
        watchers[nextWatcher] = watcher
        return nextWatcher
    }

    private func remove(_ id: Int) { watchers[id] = nil }

    /// Calls the watchers if there is something new to see.
    func tellWatchers() {
        let observation = crew.observation
        guard observation != shown else { return }
        shown = observation
        for watcher in watchers.values { watcher() }
    }
}
