package import Bus
package import ConfigClient
import Glibc
package import Lifecycle
import Locking
import Processes
import PropertyFormats
package import Telemetry
import ThreadExecutor

/// Runs beside any process: gets its configuration, writes its files, runs it with its variables, brings changes to it and answers for them.
///
/// Put it behind the bus in the group of services: `ServiceGroup([binder, bus, agent])`. When the command has ended, `run` returns, and
/// `exitCode` is the command's.
package final class Agent: Service {
    package let name = "agent"
    package let client: ConfigClient
    let configuration: AgentConfiguration
    let log: Log
    private let bus: EventBus?
    let disk = ThreadExecutor(name: "agent-disk")
    private let gate = AsyncGate()
    private let events: AsyncStream<Supervision.Event>
    private let input: AsyncStream<Supervision.Event>.Continuation
    /// When the bus was connected, or connected again; the newest that nobody has seen yet.
    private let connections: AsyncStream<ContinuousClock.Instant>
    private let connected: AsyncStream<ContinuousClock.Instant>.Continuation

    private struct State {
        var exitCode: Int32 = 0
        var phase = Supervision.Phase.unconfigured
        var nextChange: UInt64 = 0
        /// Those who wait until their change is in force.
        var waiters: [UInt64: CheckedContinuation<CommandFailure?, Never>] = [:]
        var isOver = false
        /// When a server was asked last that answered.
        var lastFetch: ContinuousClock.Instant?
    }
    private let state = Locked(State())

    /// Throws `.invalid` for settings that cannot be used. `bus` brings refreshes and takes receipts; without one, the agent asks every
    /// `pollInterval` only.
    package init(_ configuration: AgentConfiguration, bus: EventBus? = nil, log: Log = .silent) throws(ConfigError) {
        self.configuration = configuration
        self.bus = bus
        self.log = log
        client = try ConfigClient(configuration.client, log: log)
        // A few events a change; the bound is for a sender of signals gone wild, whose newest are dropped.
        (events, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(4096))
        (connections, connected) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        bus?.handle(.refresh) { [weak self] message in
            guard let self else { return EventBus.Handled(.none) }
            return try await refresh(message.details)
        }
        bus?.handleGap { [weak self] in await self?.compare("events may have been missed") }
        // Between the first fetch and the first moment on the bus, and while a server was away, there may have been changes without an event.
        bus?.observe { [connected] in if case .ready = $0 { connected.yield(.now) } }
    }

    deinit { disk.stop() }

    /// The command's exit code once `run` has returned: 128 + signal where one ended it, 127 where it could not be started.
    package var exitCode: Int32 { state.withLock { $0.exitCode } }

    /// Runs until the command has ended, or until shutdown, when it ends the command. Throws when the first configuration cannot be had or
    /// rendered.
    package func run(_ life: ServiceLife) async throws {
        let signals = configuration.command.isEmpty ? nil : SignalSource([SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT])
        defer { signals?.cancel() }
        defer { end() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let received = signals?.received { group.addTask { for await number in received { self.input.yield(.signal(number)) } } }
            group.addTask {
                await life.untilShutdown()
                self.input.yield(.shutdown)
            }
            group.addTask {
                do {
                    try await self.begin()
                } catch is CommandFailure {
                    return  // the command never stood: the exit code tells
                } catch  where life.shutdown.isRequested || error is CancellationError {
                    return
                }
                life.started()
                if self.configuration.runsOnce, self.configuration.command.isEmpty {
                    self.input.yield(.shutdown)
                } else {
                    await withTaskGroup(of: Void.self) { group in
                        group.addTask { await self.poll() }
                        group.addTask { await self.compareOnConnection() }
                    }
                }
            }
            group.addTask {
                await self.supervise()
                throw Ended()
            }
            do {
                while try await group.next() != nil {}  // the first error ends it; waitForAll would wait for all others first
            } catch is Ended {}
            group.cancelAll()
        }
    }

    private struct Ended: Error {}

    private func compareOnConnection() async {
        for await moment in connections {
            if let fetch = state.withLock({ $0.lastFetch }), fetch > moment { continue }
            do { try await client.waitForTurn() } catch { return }
            await compare("the bus is connected")
        }
    }

    /// What a server said when it was asked at this moment is known.
    func noteFetch(at moment: ContinuousClock.Instant) { state.withLock { $0.lastFetch = moment } }

    /// Drives the machine until it says that all is over.
    private func supervise() async {
        var machine = Supervision(configuration)
        await withTaskGroup(of: Void.self) { timers in
            var child: ChildProcess?
            for await event in events {
                var pending = machine.handle(event)[...]
                while let action = pending.popFirst() {
                    switch action {
                    case .start:
                        let made = await start()
                        child = try? made.get()
                        let answer: Supervision.Event
                        switch made {
                        case .success: answer = .started
                        case .failure(let failure): answer = .startFailed(failure.description)
                        }
                        pending += machine.handle(answer)
                    case .send(let number): child?.send(number)
                    case .terminate: child?.endGroup(SIGTERM)
                    case .kill:
                        log.warning("the command did not end in time and is killed", ["limit": "\(configuration.stopLimit)"])
                        child?.endGroup(SIGKILL)
                    case .arm(let id, let time):
                        timers.addTask { [input] in
                            do { try await Task.sleep(for: time) } catch { return }  // a timer that the machine asked for
                            input.yield(.timer(id))
                        }
                    case .applied(let change): answer(change, nil)
                    case .failed(let change, let reason): answer(change, CommandFailure(description: reason))
                    case .crashed(let exit): log.error("the command failed and is started again after a pause", ["exit": "\(exit)"])
                    case .finish(let code):
                        log.info("the command has ended", ["code": "\(code)"])
                        state.withLock { $0.exitCode = code }
                    }
                }
                state.withLock { $0.phase = machine.phase }
                if machine.phase == .ended { break }
            }
            if machine.phase != .ended { child?.endGroup(SIGKILL) }  // cancelled: nothing of ours stays behind
            timers.cancelAll()
        }
    }

    private func start() async -> Result<ChildProcess, AgentFailure> {
        let variables = configuration.passesEnvironment ? client.snapshot.map { EnvironmentVariables($0) } : nil
        let (configuration, input) = (configuration, input)
        let environment = CommandEnvironment.make(variables)
        do {
            let child = try await disk.run {
                try ChildProcess(configuration.command, environment: environment, folder: configuration.folder) { exit, time in
                    input.yield(.exited(exit, ranFor: time))
                }
            }
            log.info("the command runs", ["process": "\(child.identifier)", "version": client.snapshot?.version ?? ""])
            return .success(child)
        } catch {
            log.error("the command cannot be started", ["reason": "\(error)"])
            return .failure(AgentFailure(description: "\(error)"))
        }
    }

    /// Returns when the change is in force at the command.
    func bringInForce(concernsCommand: Bool) async throws {
        let change = state.withLock { state in
            state.nextChange += 1
            return state.nextChange
        }
        let failure: CommandFailure? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver, !Task.isCancelled { state.waiters[change] = continuation }
                    return state.isOver || Task.isCancelled
                }
                if isOver {
                    continuation.resume(returning: CommandFailure(description: "the agent is ending"))
                } else {
                    input.yield(.configured(change: change, concernsCommand: concernsCommand))
                }
            }
        } onCancel: {
            answer(change, CommandFailure(description: "the change took too long, or was cancelled"))
        }
        if let failure { throw failure }
    }

    private func answer(_ change: UInt64, _ failure: CommandFailure?) {
        state.withLock { $0.waiters.removeValue(forKey: change) }?.resume(returning: failure)
    }

    private func end() {
        input.finish()
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [:] }
            return state.waiters.values.map { $0 }
        }
        for waiter in waiters { waiter.resume(returning: CommandFailure(description: "the agent is ending")) }
    }

    /// Whether the command is waiting to be started again after it failed.
    var isPausing: Bool { state.withLock { $0.phase == .pausing } }

    /// One change at a time.
    func inTurn<R: Sendable>(_ body: () async throws -> R) async throws -> R {
        try await gate.enter()
        defer { gate.leave() }
        return try await body()
    }

    /// Tells the bus what runs now.
    func report() { if let running { bus?.setRunning(running, report: true) } }
}

/// A change that the command has not got. Never holds a value.
struct CommandFailure: Error, Sendable, Hashable, CustomStringConvertible {
    let description: String
}

/// A change that is not in force. Never holds a value.
package struct AgentFailure: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}
