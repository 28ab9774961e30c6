package import ConfigModel
package import Lifecycle
import Locking
package import Telemetry

/// Folders of the file system as a repository (`native`). What they hold is read into memory as a whole, and again when something in them changes; a
/// change that breaks a file is not served. Answers never touch the file system.
package final class FolderRepository: ChangingRepository {
    package struct Settings: Sendable {
        /// Folders, lowest precedence first; `{application}`, `{profile}`, `{label}` and wildcards are filled in for each request.
        package var locations: [String]
        /// Whether `LOCATION/LABEL` is searched too.
        package var addsLabels: Bool
        package var defaultLabel: String
        /// What answers give as their version; nil for none.
        package var version: String?
        package var checksProfiles: Bool
        /// How long after a change it is noticed, at the latest; longer where looking takes long.
        package var interval: Duration

        package init(
            locations: [String], addsLabels: Bool = true, defaultLabel: String = "master", version: String? = nil,
            checksProfiles: Bool = true,
            interval: Duration = .milliseconds(250)
        ) {
            self.locations = locations
            self.addsLabels = addsLabels
            self.defaultLabel = defaultLabel
            self.version = version
            self.checksProfiles = checksProfiles
            self.interval = interval
        }
    }

    private struct State {
        var served: FolderSnapshot?
        var status = RepositoryStatus()
        var generation = 0
        var handler: (@Sendable (SnapshotChange) async -> Void)?
        /// Changes that the handler has not been given yet.
        var pending: [SnapshotChange] = []
        var isDelivering = false
    }

    package let name = "folder repository"
    private let settings: Settings
    private let log: Log
    private let state = Locked(State())
    private let watch: FolderWatch

    /// Nothing is read before the first `refresh`, request or `run`.
    package init(_ settings: Settings, parsed: ParsedFiles, log: Log = .silent) {
        self.settings = settings
        self.log = log
        let patterns = settings.locations.map(Self.absolute)
        let builder = EnvironmentBuilder(
            locations: .folders(patterns, labels: settings.addsLabels), prefix: "file:/", checksProfiles: settings.checksProfiles,
            parsed: parsed)
        watch = FolderWatch(
            reader: FolderReader(roots: Self.roots(patterns)), builder: builder, defaultLabel: settings.defaultLabel,
            version: settings.version)
    }

    package var generation: Int? { state.withLock { $0.generation } }

    package func status(for audience: Audience) -> RepositoryStatus { state.withLock { $0.status } }

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        try await snapshot().environment(for: audience)
    }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        try await snapshot().resource(path, for: audience)
    }

    package func onChange(_ handler: @escaping @Sendable (SnapshotChange) async -> Void) { state.withLock { $0.handler = handler } }

    @discardableResult
    package func refresh() async throws(ConfigError) -> [SnapshotChange] {
        let changes: [SnapshotChange]
        do { changes = try await look() } catch {
            state.withLock {
                if $0.status.staleSince == nil { $0.generation += 1 }
                $0.status.staleSince = $0.status.staleSince ?? Timestamp.now.milliseconds / 1000
            }
            throw error
        }
        await deliver()
        return changes
    }

    package func run(_ life: ServiceLife) async throws {
        do { try await refresh() } catch { log.error("nothing is served yet", ["reason": error.message]) }
        life.started()
        try await life.cancelOnShutdown { [self] in
            var reason: String?
            while true {
                let clock = ContinuousClock()
                let start = clock.now
                do throws(ConfigError) {
                    try await refresh()
                    reason = nil
                } catch {
                    if reason != error.message {
                        log.error("the folders cannot be read; what was served is served on", ["reason": error.message])
                    }
                    reason = error.message
                }
                // Looking never takes more than a hundredth of the time.
                try await clock.sleep(for: max(settings.interval, (clock.now - start) * 100))
            }
        }
    }

    private func snapshot() async throws(ConfigError) -> FolderSnapshot {
        if let served = state.withLock({ $0.served }) { return served }
        _ = try await look()
        await deliver()
        guard let served = state.withLock({ $0.served }) else { throw ConfigError(.unavailable, "the folders have not been read yet") }
        return served
    }

    /// One look, on the thread that is for it; what it finds is served when it returns.
    private func look() async throws(ConfigError) -> [SnapshotChange] {
        try await watch.look { finding in
            self.state.withLock { state in
                let before = state.status
                state.status.staleSince = nil
                switch finding {
                case .same: break
                case .restored: state.status.rejected = nil
                case .step(let snapshot, let change):
                    state.status.rejected = change.rejected.map { RepositoryStatus.Rejection(version: change.to, reason: $0.message) }
                    if change.rejected == nil { state.served = snapshot }
                    // The first snapshot is no change of anything.
                    if change.from != nil { state.pending.append(change) }
                    state.generation += 1
                }
                if before != state.status { state.generation += 1 }
            }
            guard case .step(_, let change) = finding else { return }
            if change.rejected == nil {
                self.log.info("the folders are read", ["version": change.to, "changed": String(change.paths.count)])
            }
        }
    }

    /// Gives the handler what is pending, one at a time and in order, unless another task does so already.
    private func deliver() async {
        while true {
            let next = state.withLock { state -> (SnapshotChange, @Sendable (SnapshotChange) async -> Void)? in
                guard !state.isDelivering, !state.pending.isEmpty, let handler = state.handler else { return nil }
                state.isDelivering = true
                return (state.pending.removeFirst(), handler)
            }
            guard let (change, handler) = next else { return }
            await handler(change)
            state.withLock { $0.isDelivering = false }
        }
    }
}
