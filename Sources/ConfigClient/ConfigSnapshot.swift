public import ConfigModel
import Locking

/// One configuration, whole and immutable: the environment as served, and its merged view with placeholders resolved.
public struct ConfigSnapshot: ConfigReader {
    private let storage: Storage
    private let record: ReadRecord?

    private final class Storage: Sendable {
        let environment: ConfigEnvironment
        let entries: [String: ConfigEntry]
        let sortedKeys: [String]
        /// The canonical form of each of `sortedKeys`.
        let canonicalForms: [String]
        let canonicalKeys: [String: String]
        let contentHash: String

        init(_ environment: ConfigEnvironment) {
            self.environment = environment
            let merged = environment.merged
            let entries = MergedView.entries(of: environment, merged)
            self.entries = entries
            sortedKeys = entries.keys.sorted()
            canonicalForms = sortedKeys.map(RelaxedName.canonical)
            var canonicalKeys: [String: String] = [:]
            for (key, canonical) in zip(sortedKeys, canonicalForms) where canonicalKeys[canonical] == nil { canonicalKeys[canonical] = key }
            self.canonicalKeys = canonicalKeys
            contentHash = ConfigEnvironment.contentHash(of: merged)
        }
    }

    package init(_ environment: ConfigEnvironment) { self.init(storage: Storage(environment), record: nil) }

    private init(storage: Storage, record: ReadRecord?) {
        self.storage = storage
        self.record = record
    }

    /// As the server sent it.
    public var environment: ConfigEnvironment { storage.environment }
    /// What it was read from: a commit, or what the server names in its place where a repository has no versions.
    public var version: String? { storage.environment.snapshot ?? storage.environment.version }
    /// Equal for equal merged content, whatever the version; 64 hex digits.
    public var contentHash: String { storage.contentHash }
    /// All keys, sorted.
    public var keys: [String] { storage.sortedKeys }

    public func entry(_ key: String) -> ConfigEntry? {
        let canonical = RelaxedName.canonical(key)
        record?.read(key: canonical)
        return storage.entries[key] ?? storage.canonicalKeys[canonical].flatMap { storage.entries[$0] }
    }

    public func entries(under prefix: String) -> [ConfigEntry] {
        let canonical = RelaxedName.canonical(prefix)
        record?.read(prefix: canonical)
        return zip(storage.sortedKeys, storage.canonicalForms).compactMap { key, form in
            KeyPrefix.contains(form, under: canonical) ? storage.entries[key] : nil
        }
    }

    /// Keys that were added, removed or have another value than in `other`, sorted.
    public func changedKeys(since other: ConfigSnapshot?) -> [String] {
        guard let other else { return storage.sortedKeys }
        if other.storage === storage { return [] }
        var keys = storage.sortedKeys.filter { storage.entries[$0]?.value != other.storage.entries[$0]?.value }
        keys += other.storage.sortedKeys.filter { storage.entries[$0] == nil }
        return keys.sorted()
    }

    /// The same snapshot, which notes in `record` what is read from it.
    func recording(_ record: ReadRecord) -> ConfigSnapshot { ConfigSnapshot(storage: storage, record: record) }

    /// The same content under the version that the server now gives it.
    func with(version: String?) -> ConfigSnapshot {
        var environment = storage.environment
        guard let version, self.version != version else { return self }
        environment.snapshot = version
        return ConfigSnapshot(environment)
    }
}

/// Which keys belong to a prefix: whole names only, so that `pool` is not a prefix of `pools`.
enum KeyPrefix {
    /// Both in canonical form. A prefix that ends with `.` stands for what is below it; the empty one for everything.
    static func contains(_ key: String, under prefix: String) -> Bool {
        if prefix.isEmpty || prefix.hasSuffix(".") { return key.hasPrefix(prefix) }
        guard key.hasPrefix(prefix) else { return false }
        let next = key.utf8.dropFirst(prefix.utf8.count).first
        return next == nil || next == UInt8(ascii: ".") || next == UInt8(ascii: "[")
    }
}

/// What was read from a snapshot, in canonical form.
final class ReadRecord: Sendable {
    private let names = Locked<(keys: Set<String>, prefixes: Set<String>)>(([], []))

    func read(key: String) { names.withLock { _ = $0.keys.insert(key) } }
    func read(prefix: String) { names.withLock { _ = $0.prefixes.insert(prefix) } }

    /// Whether one of these keys was read, or lies under a prefix that was.
    func isTouched(by changed: [String]) -> Bool {
        let (keys, prefixes) = names.withLock { $0 }
        return changed.contains { key in
            let key = RelaxedName.canonical(key)
            return keys.contains(key) || prefixes.contains { KeyPrefix.contains(key, under: $0) }
        }
    }
}
