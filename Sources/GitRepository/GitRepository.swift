package import ConfigModel
package import ConfigRepositories
import Crypto
package import Lifecycle
import Locking
package import Telemetry

/// Configuration in a Git repository, remote (mirrored below the data folder) or on this machine (read where it lies).
///
/// Answers come from commits that passed the gate, never wait for the network unless the settings say so, and go on while the remote is away.
package final class GitRepository: ChangingRepository {
    private struct State {
        var sources: LeastRecentlyUsed<String, GitSource>
    }
    package let name: String
    package let settings: GitSettings
    private let template: GitURI
    private let folder: String
    private let parsed: ParsedFiles
    private let log: Log
    private let threads = GitThreads()
    private let generations = Generation()
    private let delivery = ChangeDelivery()
    private let state: Locked<State>

    /// How often the references of a repository on this machine are compared.
    private static let localInterval = Duration.milliseconds(100)
    private static let mostMirrors = 100

    /// `data` is the folder under which mirrors live, shared by all Git repositories of the process. Touches neither disk nor network.
    /// Throws `.invalid` for a uri that cannot be one.
    package init(_ settings: GitSettings, data: String, parsed: ParsedFiles, log: Log = .silent) throws(ConfigError) {
        template = try GitURI(settings.uri)
        name = "git \(template.shown)"
        self.settings = settings
        folder = data
        self.parsed = parsed
        self.log = log
        state = Locked(State(sources: LeastRecentlyUsed(limit: Self.mostMirrors)))
    }

    package func onChange(_ handler: @escaping @Sendable (SnapshotChange) async -> Void) { delivery.set(handler) }

    /// The merged environment. Throws `.notFound` for a label that does not exist (after one look at the remote for it), `.unavailable` where
    /// nothing of the repository is at hand, `.broken` for a file that cannot be read.
    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        try await answer(for: audience) { (snapshot) async throws(ConfigError) in try await snapshot.environment(for: audience) }
    }

    /// The file that a plain text request means; throws as `environment`.
    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        try await answer(for: audience) { (snapshot) async throws(ConfigError) in try await snapshot.resource(path, for: audience) }
    }

    /// Nil where the settings ask for a look before each answer.
    package var generation: Int? {
        if case .onRequest = settings.freshness { nil } else { generations.value }
    }

    package func status(for audience: Audience) -> RepositoryStatus {
        let labels = EnvironmentBuilder.labels(audience.label, defaultLabel: settings.defaultLabel)
        guard let uri = try? template.expanded(for: audience, label: audience.label ?? settings.defaultLabel), let source = try? source(uri)
        else {
            return RepositoryStatus()
        }
        return source.status(of: labels.contains("main") && settings.triesMaster ? labels + ["master"] : labels)
    }

    /// Whether what is served to the audience is that commit or came after it; looks at the remote once when it is not.
    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        let source = try source(template.expanded(for: audience, label: audience.label ?? settings.defaultLabel))
        let snapshot = try await source.current()
        await delivery.start()
        if try await snapshot.contains(version, for: audience) { return true }
        guard await source.lookForLabel(), let newer = source.snapshot else { return false }
        await delivery.start()
        return try await newer.contains(version, for: audience)
    }

    @discardableResult
    package func refresh() async throws(ConfigError) -> [SnapshotChange] {
        var changes: [SnapshotChange] = []
        var failure: ConfigError?
        if !template.hasPlaceholders { _ = try source(template) }
        for source in sources {
            do { changes += try await source.look(remote: true) } catch { failure = failure ?? error }
        }
        await delivery.deliver()
        if let failure, changes.isEmpty { throw failure }
        return changes
    }

    package func run(_ life: ServiceLife) async throws {
        _ = try await life.cancelOnShutdown { [self] in
            if !template.hasPlaceholders {
                let source = try source(template)
                _ = try? await source.look(remote: false)
                // With a mirror or a repository on this machine there is something to serve already.
                if source.snapshot == nil { _ = try? await source.look(remote: true) }
            }
            await delivery.deliver()
            life.started()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [self] in await delivery.run() }
                try await follow()
            }
        }
    }

    private func follow() async throws {
        let isLocal = template.path != nil
        while true {
            if isLocal {
                try await Task.sleep(for: Self.localInterval)
                for source in sources { await source.lookIfMoved() }
                await delivery.start()
                continue
            }
            let interval: Duration
            switch settings.freshness {
            case .background(let every): interval = max(every, .milliseconds(100))
            // Answers bring changes along; what nobody asks for is still to be seen some time.
            case .onRequest(let age): interval = max(age, .seconds(30))
            case .onDemand:
                try await Task.sleep(for: .seconds(3600))
                continue
            }
            try await Task.sleep(
                for: sources.contains { $0.snapshot == nil } ? min(interval, .seconds(2)) : interval * Double.random(in: 0.9...1.1))
            for source in sources { await source.lookInBackground() }
            await delivery.start()
        }
    }

    private var sources: [GitSource] {
        state.withLock { state in
            var copy = state.sources
            return state.sources.keys.reversed().compactMap { copy.value(for: $0) }
        }
    }

    private func answer<T>(
        for audience: Audience, _ body: (GitSnapshot) async throws(ConfigError) -> T
    ) async throws(ConfigError) -> T {
        let uri = try template.expanded(for: audience, label: audience.label ?? settings.defaultLabel)
        let source = try source(uri)
        let snapshot: GitSnapshot
        do { snapshot = try await source.current() } catch {
            await delivery.start()
            // Of a uri with placeholders anybody can name repositories that are not there.
            guard template.hasPlaceholders, source.isLocal else { throw error }
            throw ConfigError(.notFound, error.message)
        }
        await delivery.start()
        do { return try await body(snapshot) } catch {
            guard error.code == .notFound, try await !snapshot.hasLabels(of: audience), await source.lookForLabel(),
                let newer = source.snapshot, newer.references != snapshot.references
            else { throw error }
            await delivery.start()
            return try await body(newer)
        }
    }

    /// The source of one uri, made at its first use. Of many, those that were not asked for longest are given up; their mirrors stay on the disk.
    private func source(_ uri: GitURI) throws(ConfigError) -> GitSource {
        let key = uri.connecting
        return state.withLock { state in
            if let known = state.sources.value(for: key) { return known }
            let source = GitSource(
                uri: uri, template: template, settings: settings,
                folder: "\(folder)/\(SHA256.hexadecimalDigest(of: uri.shown).prefix(20))", threads: threads, parsed: parsed,
                generation: generations, log: log, found: { [delivery] changes in delivery.add(changes) })
            state.sources.insert(source, for: key)
            return source
        }
    }
}
