import ConfigModel
import ConfigRepositories
import Crypto
import Glibc
import Locking
import Telemetry
import ThreadExecutor

/// One Git repository of a `GitRepository`: opened where it lies, or mirrored, and followed.
final class GitSource: Sendable {
    private struct State {
        var snapshot: GitSnapshot?
        /// When the last look began that reached the repository.
        var seen: ContinuousClock.Instant?
        var lastAsk: ContinuousClock.Instant?
        var failure: ConfigError?
        var failures = 0
        /// Since when the repository cannot be read, in seconds since 1970.
        var staleSince: Int64?
        /// By branch, what is not served and why.
        var rejected: [String: RepositoryStatus.Rejection] = [:]
        var retry: ContinuousClock.Instant?
    }
    /// Only touched on the looking thread.
    private final class Looking: @unchecked Sendable {
        var store: LibGit2Store?
        var succession = Succession()
        var watch: RefWatch?
        var recorded: [String: ObjectID] = [:]
    }

    let uri: GitURI
    private let template: GitURI
    private let settings: GitSettings
    private let folder: String
    private let threads: GitThreads
    private let parsed: ParsedFiles
    private let log: Log
    private let state = Locked(State())
    private let looking = Looking()
    private let folders = FolderCache()
    private let generation: Generation
    private let found: @Sendable ([SnapshotChange]) -> Void
    private let flight = SingleFlight<Result<[SnapshotChange], ConfigError>>()

    /// `found` is told of changes in their order and must return at once. `folder` is this repository's own below the data folder.
    init(
        uri: GitURI, template: GitURI, settings: GitSettings, folder: String, threads: GitThreads, parsed: ParsedFiles,
        generation: Generation, log: Log, found: @escaping @Sendable ([SnapshotChange]) -> Void
    ) {
        self.uri = uri
        self.template = template
        self.settings = settings
        self.folder = folder
        self.threads = threads
        self.parsed = parsed
        self.generation = generation
        self.found = found
        self.log = log
    }

    /// What is served depends on what is judged, and that on the search paths.
    private var record: String {
        let paths = settings.searchPaths.joined(separator: "\n")
        return folder + (paths.isEmpty ? "/served" : "/served-\(SHA256.hexadecimalDigest(of: paths).prefix(8))")
    }
    private var mirror: String { folder + "/mirror.git" }
    var isLocal: Bool { uri.path != nil }

    /// What is served now; nil before the first success.
    var snapshot: GitSnapshot? { state.withLock { $0.snapshot } }

    /// Whether a look may be tried again after failures.
    private var mayTry: Bool {
        let retry = state.withLock { $0.retry }
        return retry.map { ContinuousClock.now >= $0 } ?? true
    }

    /// What there is to answer from, looked for first where nothing is at hand or the settings ask for it.
    func current() async throws(ConfigError) -> GitSnapshot {
        if snapshot == nil {
            if !mayTry, let failure = state.withLock({ $0.failure }) { throw failure }
            _ = try await look(remote: false)
        }
        if isLocal {
            if isTooOld { await lookIfMoved() }
        } else if snapshot == nil || isTooOld, mayTry {
            do { _ = try await look(remote: true) } catch {
                if snapshot == nil { throw error }
            }
        }
        guard let snapshot else {
            throw state.withLock { $0.failure } ?? ConfigError(.unavailable, "\(uri.shown) was not read yet")
        }
        return snapshot
    }

    /// How far an answer for `labels` can be relied on.
    func status(of labels: [String]) -> RepositoryStatus {
        let (stale, rejected) = state.withLock { ($0.staleSince, $0.rejected) }
        return RepositoryStatus(staleSince: stale, rejected: labels.lazy.compactMap { rejected[$0] }.first)
    }

    private var isTooOld: Bool {
        guard case .onRequest(let age) = settings.freshness else { return false }
        guard let seen = state.withLock({ $0.seen }) else { return true }
        return ContinuousClock.now - seen >= age
    }

    /// Looks because somebody asked for a label that is not known: at most once in five seconds for a remote, since anybody can ask for anything.
    /// Returns whether it looked.
    func lookForLabel() async -> Bool {
        let now = ContinuousClock.now
        let may = state.withLock { state in
            guard isLocal || state.lastAsk.map({ now - $0 >= .seconds(5) }) ?? true else { return false }
            state.lastAsk = now
            return true
        }
        guard may, mayTry else { return false }
        return (try? await look(remote: true)) != nil
    }

    /// Looks at the repository, at its remote too if asked; what was found is served when it returns, and `found` was told.
    func look(remote: Bool) async throws(ConfigError) -> [SnapshotChange] {
        let result = await flight.run {
            let began = ContinuousClock.now
            do throws(ConfigError) {
                let changes = try await self.lookNow(remote: remote)
                self.succeeded(began, remote: remote)
                self.found(changes)
                return .success(changes)
            } catch {
                self.failed(error)
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// A look only if the references of a repository on this machine have moved.
    func lookIfMoved() async {
        guard mayTry else { return }
        let moved = try? await threads.looking.run { [looking] in looking.watch?.hasChanged() ?? true }
        if moved == true { _ = try? await look(remote: false) }
    }

    /// A look that is due by the clock; failures only count.
    func lookInBackground() async {
        if mayTry { _ = try? await look(remote: true) }
    }

    private func lookNow(remote: Bool) async throws(ConfigError) -> [SnapshotChange] {
        var fetched: ConfigError?
        if remote, !isLocal {
            do { try await fetch() } catch { fetched = error }
        }
        // A remote that is away does not keep the mirror from being served.
        let changes = try await onLookingThread { () throws(ConfigError) in try self.follow() }
        if let fetched { throw fetched }
        return changes
    }

    private func fetch() async throws(ConfigError) {
        let call = BlockingCall(sshPort: uri.sshPort)
        let (uri, settings, folder, mirror, record) = (uri, settings, folder, mirror, record)
        let result: Result<Bool, ConfigError> = await withTaskGroup(of: Void.self) { group in
            group.addTask { await call.watch() }
            let result = await threads.result { () throws(ConfigError) in
                GitSource.makeFolder(folder)
                let served = Array(ServedRecord(path: record).read().values)
                let fetch = RemoteFetch(uri: uri, mirror: mirror, settings: settings, served: served)
                return try call.run(for: settings.timeLimit) { deadline in
                    Result { () throws(ConfigError) in try fetch.run(until: deadline) }
                }.get()
            }
            group.cancelAll()
            return result
        }
        _ = try result.get()
    }

    /// On the looking thread: reads the references, judges, and serves.
    private func follow() throws(ConfigError) -> [SnapshotChange] {
        let path = uri.path ?? mirror
        if isLocal, access(path, F_OK) != 0 {
            throw ConfigError(settings.absence, "there is no Git repository at \(path); make one or mend the uri")
        }
        if looking.store == nil {
            if !isLocal, access(mirror, F_OK) != 0 { return [] }
            let store = try LibGit2Store(path: path)
            GitSource.makeFolder(folder)
            looking.recorded = ServedRecord(path: record).read()
            looking.succession = Succession(lastGood: looking.recorded)
            looking.watch = RefWatch(folder: store.folder)
            looking.store = store
        }
        guard let store = looking.store else { return [] }
        _ = looking.watch?.hasChanged()
        let found = try store.references()
        guard !found.branches.isEmpty || !found.tags.isEmpty else {
            guard isLocal, snapshot == nil else { return [] }  // being made again, or a mirror before its first fetch
            throw ConfigError(.unavailable, "the Git repository at \(path) has no commit yet")
        }
        let context: GitSnapshot.Context
        if let snapshot { context = snapshot.context } else { context = try makeContext(path) }
        let gate = ValidationGate(searchPaths: settings.searchPaths, parsed: parsed)
        let trees = TreeReader(store: store, folders: folders)
        let before = snapshot.map(\.references) ?? looking.succession.served
        let steps = try looking.succession.follow(found, keepsDeleted: !isLocal && !settings.followsDeletions) { (id) throws(ConfigError) in
            try trees.tree(id)
        } judge: { [validates = settings.validates] (tree, paths) throws(ConfigError) in
            if validates { try gate.check(paths, in: tree) }
        }
        let served = looking.succession.served
        if served != snapshot?.references {
            let next = GitSnapshot(context: context, references: served)
            state.withLock { $0.snapshot = next }
        }
        let refused = looking.succession.refused
        state.withLock { $0.rejected = refused }
        if served != before || !steps.isEmpty { generation.advance() }
        if served.branches != looking.recorded {
            ServedRecord(path: record).write(served.branches)
            looking.recorded = served.branches
        }
        return try changes(of: steps, from: before, context: context, store: store)
    }

    private func changes(
        of steps: [Succession.Step], from references: References, context: GitSnapshot.Context, store: LibGit2Store
    ) throws(ConfigError) -> [SnapshotChange] {
        var before = references
        var changes: [SnapshotChange] = []
        for step in steps {
            let commit = try store.commit(step.to)
            changes.append(
                SnapshotChange(
                    label: step.name, from: step.from?.hex, to: step.to.hex, author: commit.author, summary: commit.summary,
                    time: commit.time,
                    paths: step.paths, rejected: step.rejected,
                    before: step.from == nil ? nil : GitSnapshot(context: context, references: before),
                    after: GitSnapshot(context: context, references: step.served)))
            before = step.served
        }
        return changes
    }

    private func makeContext(_ path: String) throws(ConfigError) -> GitSnapshot.Context {
        GitSnapshot.Context(
            settings: settings, template: template, uri: uri, store: try LibGit2Store(path: path), thread: threads.reading,
            folders: folders,
            parsed: parsed, contained: ContainedCommits())
    }

    private func succeeded(_ began: ContinuousClock.Instant, remote: Bool) {
        let recovered = state.withLock { state in
            if remote || isLocal { state.seen = began }
            guard remote || isLocal, state.failures > 0 else { return false }
            state.failure = nil
            state.staleSince = nil
            state.failures = 0
            state.retry = nil
            return true
        }
        guard recovered else { return }
        generation.advance()
        log.info("a repository can be read again", ["uri": uri.shown])
    }

    private func failed(_ error: ConfigError) {
        let first = state.withLock { state in
            state.failure = error
            state.failures = min(state.failures + 1, 6)
            // 0.5, 1, 2, … 16 s, and up to a quarter more, so that many servers do not ask at once.
            let wait = Duration.milliseconds(250 << state.failures) * Double.random(in: 1...1.25)
            state.retry = ContinuousClock.now + wait
            guard state.failures == 1 else { return false }
            state.staleSince = Timestamp.now.milliseconds / 1000
            return true
        }
        guard first else { return }
        generation.advance()
        log.warning("a repository cannot be read", ["uri": uri.shown, "reason": error.message])
    }

    private func onLookingThread<T: Sendable>(_ body: @escaping @Sendable () throws(ConfigError) -> T) async throws(ConfigError) -> T {
        try await threads.result(body).get()
    }

    /// The folder and those above it, for nobody else to read.
    private static func makeFolder(_ path: String) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            mkdir(made, 0o700)
        }
    }
}

/// The trees of commits, read on the looking thread.
private struct TreeReader {
    let store: LibGit2Store
    let folders: FolderCache
    func tree(_ id: ObjectID) throws(ConfigError) -> CommitTree {
        CommitTree(commit: id, root: try store.commit(id).tree, store: store, folders: folders)
    }
}
