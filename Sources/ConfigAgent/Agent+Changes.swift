package import Bus
import ConfigClient
import ConfigModel
import Glibc
import Lifecycle
import Processes
import PropertyFormats
import Telemetry
import ThreadExecutor

extension Agent {
    /// What the instance runs; nil before the first configuration.
    package var running: RunningConfiguration? {
        client.snapshot.map { RunningConfiguration(label: configuration.client.label, version: $0.version, hash: $0.contentHash) }
    }

    /// Brings the first configuration in force. Waits for a server where there is neither one nor a last known good.
    func begin() async throws {
        var backOff = BackOff(first: .milliseconds(500), longest: .seconds(5))
        while client.snapshot == nil {
            do {
                _ = try await update(minimumVersion: nil)
            } catch let error as ConfigError where error.isRetriable && !configuration.runsOnce {
                log.warning("there is no configuration yet", ["reason": error.message])
                try await Task.sleep(for: backOff.next())  // between two tries
            }
        }
        report()
    }

    /// Asks the server now and then until the task is cancelled: the safety net under the bus.
    func poll() async {
        var pace = client.pollPace()
        while true {
            do { try await pace.wait() } catch { return }
            await compare("poll")
        }
    }

    /// Asks the server without an event, and tells the bus when something else runs afterwards.
    func compare(_ reason: String) async {
        do {
            let before = running
            _ = try await update(minimumVersion: nil)
            if running != before { report() }
        } catch is CancellationError {
        } catch let error as ConfigError where error.code == .cancelled {
        } catch {
            log.warning("configuration could not be compared", ["cause": reason, "error": "\(error)"])
        }
    }

    /// Answers a refresh event.
    func refresh(_ details: RefreshDetails) async throws -> EventBus.Handled {
        if let version = details.version, version == client.snapshot?.version, !isPausing {
            return EventBus.Handled(.unchanged, running: running)
        }
        try await client.waitForTurn()
        // The version of another label is none that ours could ever have.
        let isOurs = details.label == nil || configuration.client.label == nil || details.label == configuration.client.label
        let outcome = try await update(minimumVersion: isOurs ? details.version : nil)
        return EventBus.Handled(outcome, running: running)
    }

    /// Fetches, renders, checks, puts in place and brings to the command. Whatever fails before the files are in place leaves everything as it
    /// was.
    func update(minimumVersion: String?) async throws -> Receipt.Outcome {
        try await inTurn {
            let old = client.snapshot
            let asked = ContinuousClock.now
            let candidate = old == nil ? try await client.firstCandidate() : try await client.fetch(minimumVersion: minimumVersion)
            if !candidate.isStored { noteFetch(at: asked) }
            if candidate.isUnchanged {
                _ = try await client.accept(candidate)
                if isPausing { throw AgentFailure(description: "the command fails and is started again after a pause") }
                return .unchanged
            }
            let files = configuration.files
            let snapshot = candidate.snapshot
            let staged = try await disk.run { try Rendering.stage(files, snapshot) }
            do {
                try await check(staged, snapshot)
            } catch {
                try await disk.run { staged.discard() }
                throw error
            }
            try await disk.run { try staged.commit() }
            _ = try await client.accept(candidate)
            tellOfUnusable(snapshot)
            try await bringInForce(concernsCommand: old == nil || staged.hasChanges || variablesDiffer(old, snapshot))
            return .applied
        }
    }

    /// Keys that the command cannot get as variables are named in the log.
    private func tellOfUnusable(_ snapshot: ConfigSnapshot) {
        guard configuration.passesEnvironment, !configuration.command.isEmpty else { return }
        let variables = EnvironmentVariables(snapshot)
        if !variables.collidingKeys.isEmpty {
            log.warning(
                "keys have the name of another key's variable and are left out",
                ["keys": variables.collidingKeys.prefix(20).joined(separator: ", ")])
        }
        if !variables.unusableKeys.isEmpty {
            log.warning("keys cannot be variables and are left out", ["keys": variables.unusableKeys.prefix(20).joined(separator: ", ")])
        }
    }

    private func variablesDiffer(_ old: ConfigSnapshot?, _ new: ConfigSnapshot) -> Bool {
        guard configuration.passesEnvironment else { return false }
        guard let old else { return true }
        return EnvironmentVariables(old).variables != EnvironmentVariables(new).variables
    }

    /// Runs the check command on the files that are not in place yet.
    private func check(_ staged: StagedFiles, _ snapshot: ConfigSnapshot) async throws {
        guard let check = configuration.check else { return }
        let environment = CommandEnvironment.make(configuration.passesEnvironment ? EnvironmentVariables(snapshot) : nil)
        let folder = configuration.folder
        let (exits, input) = AsyncStream.makeStream(of: ProcessExit.self, bufferingPolicy: .bufferingNewest(1))
        let child = try await disk.run {
            try ChildProcess(["/bin/sh", "-c", check, "sh"] + staged.paths, environment: environment, folder: folder) { exit, _ in
                input.yield(exit)
                input.finish()
            }
        }
        let limit = configuration.checkLimit
        let exit = await withTimeLimit(limit) {
            for await exit in exits { return exit as ProcessExit? }
            return nil
        }
        switch exit ?? nil {
        case .code(0): return
        case nil:
            child.endGroup(SIGKILL)
            throw AgentFailure(
                description: "the check did not end within \(limit); the version \(snapshot.version ?? "") is not taken over")
        case .some(let exit):
            throw AgentFailure(description: "the check refuses the version \(snapshot.version ?? "") (\(exit))")
        }
    }
}
