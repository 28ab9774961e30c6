import Processes

/// The life of the command: a pure value; an event goes in, actions come out.
///
///     unconfigured ─configured─► starting ─started─► running ─exited─► ended
///          │                      ▲  ▲                 │  │
///          │ (no command)         │  └──exited──── stopping(.change)
///          ▼                      │                       │ failed by itself, mode restart
///        idle                     └──timer, change── pausing
///
/// From everywhere, `shutdown` leads over `stopping(.end)` to `ended`.
package struct Supervision: Sendable {
    enum Stop: Sendable, Hashable {
        case change
        case end
    }
    enum Phase: Sendable, Hashable {
        case unconfigured
        /// There is no command.
        case idle
        /// The process is being made.
        case starting
        case running
        /// SIGTERM was sent.
        case stopping(Stop)
        /// It failed by itself and is started again later.
        case pausing
        /// Terminal.
        case ended
    }
    enum Event: Sendable, Hashable {
        /// The files of this change are in place. `concernsCommand` is false where neither files nor variables of the command changed.
        case configured(change: UInt64, concernsCommand: Bool)
        case started
        case startFailed(String)
        case exited(ProcessExit, ranFor: Duration)
        case timer(UInt64)
        /// To be passed on.
        case signal(Int32)
        case shutdown
    }
    enum Action: Sendable, Hashable {
        case start
        /// To the command itself.
        case send(Int32)
        /// SIGTERM to the command and its children.
        case terminate
        /// SIGKILL to the same.
        case kill
        /// `timer(id)` is to come after this time.
        case arm(UInt64, Duration)
        /// The change is in force.
        case applied(UInt64)
        /// The change is not in force at the command.
        case failed(UInt64, String)
        /// The command failed by itself.
        case crashed(ProcessExit)
        /// The agent is to end with this code.
        case finish(Int32)
    }
    private(set) var phase = Phase.unconfigured
    private let mode: ChangeMode
    private let hasCommand: Bool
    private let stopLimit: Duration
    private let firstPause: Duration
    private let pauseLimit: Duration
    private let steadyTime: Duration

    private var isEnding = false
    /// Changes that are in force once the process stands.
    private var waiting: [UInt64] = []
    /// Changes that came while the process was being made: it may have got the configuration before them.
    private var late: [UInt64] = []
    private var timer: UInt64 = 0
    private var failures = 0
    private var hasRun = false
    private var lastExit: ProcessExit?

    init(_ configuration: AgentConfiguration) {
        mode = configuration.change
        hasCommand = !configuration.command.isEmpty
        stopLimit = configuration.stopLimit
        firstPause = configuration.restartPause
        pauseLimit = configuration.restartLimit
        steadyTime = configuration.steadyTime
    }

    mutating func handle(_ event: Event) -> [Action] {
        if phase == .ended {
            if case .configured(let change, _) = event { return [.failed(change, "the command has ended")] }
            return []
        }
        switch event {
        case .configured(let change, let concernsCommand): return configured(change, concernsCommand)
        case .started: return started()
        case .startFailed(let reason): return startFailed(reason)
        case .exited(let exit, let time): return exited(exit, time)
        case .timer(let id): return id == timer ? timedOut() : []
        case .signal(let number): return phase == .running ? [.send(number)] : []
        case .shutdown: return shutdown()
        }
    }

    private mutating func configured(_ change: UInt64, _ concernsCommand: Bool) -> [Action] {
        if isEnding { return [.failed(change, "the agent is ending")] }
        switch phase {
        case .unconfigured:
            guard hasCommand else {
                phase = .idle
                return [.applied(change)]
            }
            waiting = [change]
            phase = .starting
            return [.start]
        case .idle: return [.applied(change)]
        case .starting:
            late.append(change)
            return []
        case .running:
            guard concernsCommand else { return [.applied(change)] }
            switch mode {
            case .rewrite: return [.applied(change)]
            case .signal(let number): return [.send(number), .applied(change)]
            case .restart:
                waiting.append(change)
                return stop(.change)
            }
        case .stopping:
            waiting.append(change)
            return []
        case .pausing:
            // The change may be the remedy.
            waiting.append(change)
            return start()
        case .ended: return []
        }
    }

    private mutating func start() -> [Action] {
        timer += 1
        phase = .starting
        return [.start]
    }

    private mutating func stop(_ reason: Stop) -> [Action] {
        timer += 1
        phase = .stopping(reason)
        return [.terminate, .arm(timer, stopLimit)]
    }

    private mutating func started() -> [Action] {
        guard phase == .starting else { return [] }
        hasRun = true
        phase = .running
        if isEnding { return stop(.end) }
        var actions = waiting.map(Action.applied)
        waiting = []
        if late.isEmpty { return actions }
        switch mode {
        case .rewrite: actions += late.map(Action.applied)
        case .signal(let number): actions += [.send(number)] + late.map(Action.applied)
        case .restart:
            waiting = late
            actions += stop(.change)
        }
        late = []
        return actions
    }

    private mutating func startFailed(_ reason: String) -> [Action] {
        guard phase == .starting else { return [] }
        let failed = fail(reason)
        // What never ran is a mistake in the command; what ran before may be there again soon.
        if isEnding || !hasRun || mode != .restart { return failed + end(127) }
        return failed + pause()
    }

    private mutating func exited(_ exit: ProcessExit, _ time: Duration) -> [Action] {
        lastExit = exit
        switch phase {
        case .running:
            guard mode == .restart, exit != .code(0) else { return end(exit.code) }
            if time >= steadyTime { failures = 0 }
            return [.crashed(exit)] + pause()
        case .stopping(.change): return start()
        case .stopping(.end): return end(exit.code)
        case .unconfigured, .idle, .starting, .pausing, .ended: return []
        }
    }

    private mutating func pause() -> [Action] {
        timer += 1
        phase = .pausing
        defer { failures += 1 }
        return [.arm(timer, min(pauseLimit, firstPause * (1 << min(failures, 16))))]
    }

    private mutating func timedOut() -> [Action] {
        switch phase {
        case .stopping: return [.kill]
        case .pausing: return start()
        default: return []
        }
    }

    private mutating func shutdown() -> [Action] {
        if isEnding { return [] }
        isEnding = true
        switch phase {
        case .unconfigured, .idle: return end(0)
        case .pausing: return end(lastExit?.code ?? 0)
        case .starting: return fail("the agent is ending")
        case .running: return stop(.end)
        case .stopping:
            phase = .stopping(.end)  // its time goes on
            return fail("the agent is ending")
        case .ended: return []
        }
    }

    private mutating func fail(_ reason: String) -> [Action] {
        defer { (waiting, late) = ([], []) }
        return (waiting + late).map { .failed($0, reason) }
    }

    private mutating func end(_ code: Int32) -> [Action] {
        let failed = fail("the command has ended")
        phase = .ended
        return failed + [.finish(code)]
    }
}
