import ConfigModel
import Lifecycle
import Locking
package import Telemetry
import ThreadExecutor

/// The configuration of one application: fetched from a server, kept current, kept on disk for when no server is there.
///
/// ```swift
/// let config = try ConfigClient(ConfigClientSettings(servers: ["http://config:8888"], application: "orders", profiles: ["prod"]))
/// try await config.start()
/// let size = try config.int("pool.size", default: 8)
/// let pool = try config.scoped { try Pool($0.section("pool", as: PoolSettings.self)) }
/// ```
/// Reading is always from the snapshot in force; a change swaps it as a whole.
public final class ConfigClient: ConfigReader {
    public let settings: ConfigClientSettings
    private let log: Log
    private let requests: ConfigFetch
    private let cache: LastKnownGood?
    private let store = SnapshotStore()
    private let gate = AsyncGate()
    private struct Standing {
        var entityTag: String?
        var state = ConfigState.none
        var confirmedAt: Int64 = 0
    }
    private let standing = Locked(Standing())

    /// Throws `.invalid` for settings that cannot be used. Nothing is asked before `start()`.
    public convenience init(_ settings: ConfigClientSettings) throws(ConfigError) { try self.init(settings, log: .silent) }

    package init(_ settings: ConfigClientSettings, log: Log) throws(ConfigError) {
        self.settings = settings
        self.log = log
        requests = try ConfigFetch(settings, log: log)
        cache = settings.cacheFolder.map {
            LastKnownGood(
                folder: $0, application: settings.application, profiles: settings.profiles, label: settings.label,
                disk: ThreadExecutor(name: "config-disk"))
        }
    }

    deinit { cache?.close() }

    // MARK: - Reading

    /// The snapshot in force; nil before `start()` has returned.
    public var snapshot: ConfigSnapshot? { store.current }

    public var state: ConfigState { standing.withLock { $0.state } }

    public func entry(_ key: String) -> ConfigEntry? { store.current?.entry(key) }

    public func entries(under prefix: String) -> [ConfigEntry] { store.current?.entries(under: prefix) ?? [] }

    /// Changes of a key, or of all keys under a prefix, from now on; the empty prefix is everything.
    public func changes(of prefix: String = "") -> ConfigChanges { ConfigChanges(store, of: prefix) }

    /// A value made of the configuration, made anew when a key that `make` has read changes. When `make` throws on a change, the change is not
    /// taken over. Throws what `make` throws, and `.missing` before `start()`.
    public func scoped<Value: Sendable>(_ make: @escaping @Sendable (ConfigSnapshot) throws -> Value) throws -> ConfigScope<Value> {
        guard let snapshot = store.current else { throw ConfigError(.missing, "there is no configuration yet; call start() first") }
        let scope = try ConfigScope(snapshot, make)
        store.add(scope)
        // A swap may have come between the two lines.
        if let now = store.current {
            let changed = now.changedKeys(since: snapshot)
            if !changed.isEmpty { try scope.prepare(now, changed: changed)?() }
        }
        return scope
    }

    // MARK: - Fetching

    /// Fetches the first configuration. When no server can be asked, takes the last known good from disk; `state` says since when it is
    /// stale. Throws what the last try said when there is neither.
    @discardableResult
    public func start() async throws(ConfigError) -> ConfigSnapshot { try await accept(firstCandidate()).snapshot }

    /// What `start` puts in force: from a server, or else from disk.
    package func firstCandidate() async throws(ConfigError) -> Candidate {
        let record = await storedRecord()
        do throws(ConfigError) {
            // With something to start from, nobody has to wait for a server that is away.
            return try await fetch(minimumVersion: nil, attempts: record == nil ? settings.attempts : 1)
        } catch {
            guard error.isRetriable, let record, let stored = candidate(record, reason: error.message) else { throw error }
            log.warning(
                "no server can be asked, starting from the last known good",
                ["reason": error.message, "since": Timestamp(milliseconds: record.savedAt).text])
            return stored
        }
    }

    /// Asks the servers now and takes over what they answer. `minimumVersion` is the version that an event named: an older answer does not
    /// count. Tries again after failures, as the settings say; throws when none helped, and `.rejected` when a scope could not be made.
    @discardableResult
    public func refresh(minimumVersion: String? = nil) async throws(ConfigError) -> ConfigUpdate {
        let candidate = try await fetch(minimumVersion: minimumVersion)
        return try await accept(candidate)
    }

    /// Waits a random time up to `settings.spread`, so that a fleet that heard of the same event does not ask at once.
    public func waitForTurn() async throws(ConfigError) {
        let limit = settings.spread
        guard limit > .zero else { return }
        do {
            try await Task.sleep(for: limit * Double.random(in: 0..<1))  // the turn itself, which nobody else knows
        } catch {
            throw ConfigError(.cancelled, "the refresh was cancelled")
        }
    }

    /// What a server has now, not in force yet.
    package struct Candidate: Sendable {
        package let snapshot: ConfigSnapshot
        fileprivate let body: [UInt8]?
        fileprivate let entityTag: String?
        /// Set where it comes from disk: when a server confirmed it, and why none was asked.
        fileprivate var stored: (savedAt: Int64, reason: String)?
        /// Whether it comes from disk because no server could be asked.
        package var isStored: Bool { stored != nil }
        /// Whether its merged content is that of the snapshot in force.
        package let isUnchanged: Bool
    }

    /// Asks the servers; nothing is in force before `accept`.
    package func fetch(minimumVersion: String? = nil) async throws(ConfigError) -> Candidate {
        try await fetch(minimumVersion: minimumVersion, attempts: settings.attempts)
    }

    private func fetch(minimumVersion: String?, attempts: Int) async throws(ConfigError) -> Candidate {
        var backOff = BackOff(first: .milliseconds(200), longest: .seconds(5))
        var tries = 1
        while true {
            do throws(ConfigError) {
                let known = store.current
                let tag = standing.withLock { $0.entityTag }
                switch try await requests.fetch(known: known.map { ($0, tag) }, minimumVersion: minimumVersion) {
                case .fetched(let answer):
                    let isUnchanged = answer.snapshot.contentHash == known?.contentHash
                    return Candidate(snapshot: answer.snapshot, body: answer.body, entityTag: answer.entityTag, isUnchanged: isUnchanged)
                case .unchanged(let version):
                    guard let known else { throw ConfigError(.broken, "the server answered 304 to a request without a condition") }
                    return Candidate(snapshot: known.with(version: version), body: nil, entityTag: tag, isUnchanged: true)
                }
            } catch {
                if error.code != .cancelled { becameStale(error) }
                guard error.isRetriable, tries < attempts else { throw error }
                tries += 1
                do {
                    try await Task.sleep(for: backOff.next())  // between two tries
                } catch { throw ConfigError(.cancelled, "the refresh was cancelled") }
            }
        }
    }

    /// Puts a candidate in force: makes all scopes of it, swaps the snapshot, keeps it on disk. Throws `.rejected` when a scope cannot be made;
    /// then everything stays as it was.
    package func accept(_ candidate: Candidate) async throws(ConfigError) -> ConfigUpdate {
        try await gate.enter()
        defer { gate.leave() }
        let old = store.current
        let snapshot = candidate.snapshot
        let keys = snapshot.changedKeys(since: old)
        let isUnchanged = old?.contentHash == snapshot.contentHash
        var commits: [@Sendable () -> Void] = []
        if !keys.isEmpty {
            do {
                for scope in store.scopes { if let commit = try scope.prepare(snapshot, changed: keys) { commits.append(commit) } }
            } catch {
                let reason = (error as? ConfigError)?.message ?? "\(type(of: error))"
                log.error("a change is not taken over", ["version": snapshot.version ?? "", "reason": reason])
                throw ConfigError(.rejected, "the version \(snapshot.version ?? "without a name") is not taken over: \(reason)")
            }
        }
        store.swap(snapshot)
        for commit in commits { commit() }
        await keep(candidate)
        if !isUnchanged { log.info("configuration in force", ["version": snapshot.version ?? "", "keys": "\(keys.count)"]) }
        return ConfigUpdate(outcome: isUnchanged ? .unchanged : .applied, snapshot: snapshot, keys: keys)
    }

    private func keep(_ candidate: Candidate) async {
        if let stored = candidate.stored {
            standing.withLock {
                $0.entityTag = candidate.entityTag
                $0.confirmedAt = stored.savedAt
                $0.state = .stale(since: stored.savedAt, reason: stored.reason)
            }
            return
        }
        let now = Timestamp.now.milliseconds
        standing.withLock {
            $0.entityTag = candidate.entityTag
            $0.confirmedAt = now
            $0.state = .current(asOf: now)
        }
        guard let cache, let body = candidate.body else { return }
        do {
            try await cache.save(
                LastKnownGood.Record(body: body, entityTag: candidate.entityTag, version: candidate.snapshot.version, savedAt: now))
        } catch {
            log.warning("the last known good could not be kept", ["reason": "\(error)"])
        }
    }

    private func storedRecord() async -> LastKnownGood.Record? {
        do {
            return try await cache?.load()
        } catch {
            log.error("the last known good on disk is not used", ["reason": "\(error)"])
            return nil
        }
    }

    private func candidate(_ record: LastKnownGood.Record, reason: String) -> Candidate? {
        do {
            var environment = try EnvironmentJSON.decode(record.body)
            environment.snapshot = record.version ?? environment.version
            return Candidate(
                snapshot: ConfigSnapshot(environment), body: nil, entityTag: record.entityTag, stored: (record.savedAt, reason),
                isUnchanged: false)
        } catch {
            log.error("the last known good on disk is not used", ["reason": error.description])
            return nil
        }
    }

    private func becameStale(_ error: ConfigError) {
        standing.withLock { standing in
            guard store.current != nil else { return }
            standing.state = .stale(since: standing.confirmedAt, reason: error.message)
        }
    }
}

extension ConfigClient {
    /// Asks the servers every `pollInterval` until the task is cancelled, and sooner while what is in force is stale. Throws
    /// `CancellationError` then.
    public func poll() async throws {
        var pace = pollPace()
        while true {
            try await pace.wait()
            do throws(ConfigError) {
                try await refresh()
            } catch {
                if error.code == .cancelled { throw CancellationError() }
                log.warning("configuration could not be refreshed", ["reason": error.message])
            }
        }
    }

    /// When to ask without an event.
    package func pollPace() -> PollPace { PollPace(self) }
}
