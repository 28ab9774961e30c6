import ConfigModel
import Telemetry
import ThreadExecutor

/// Looks at folders and reads them when they have changed, one look at a time, on a thread of its own.
actor FolderWatch {
    enum Finding: Sendable {
        /// Nothing new since the last look.
        case same
        /// What is served already is there again, after something that was rejected.
        case restored
        case step(FolderSnapshot, SnapshotChange)
    }
    private let thread = ThreadExecutor(name: "folder")
    private let reader: FolderReader
    private let builder: EnvironmentBuilder
    private let defaultLabel: String
    private let version: String?
    /// Any file may be asked for by somebody: labels and names are folders here.
    private let gate: ValidationGate
    private var listing: FolderReader.Listing?
    private var served: FolderSnapshot?
    /// What was read last, served or not.
    private var newest: MemoryTree?
    private var newestHash: String?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(reader: FolderReader, builder: EnvironmentBuilder, defaultLabel: String, version: String?) {
        self.reader = reader
        self.builder = builder
        self.defaultLabel = defaultLabel
        self.version = version
        gate = ValidationGate(searchPaths: ["**"], parsed: builder.parsed)
    }

    deinit { thread.stop() }

    /// Reads what has changed since the last look and gives it to `found`; returns the change.
    /// Throws `.unavailable` when the folders cannot be read: nothing changes then.
    func look(_ found: @Sendable (Finding) -> Void) throws(ConfigError) -> [SnapshotChange] {
        var current = try reader.list()
        if served != nil, current == listing {
            found(.same)
            return []
        }
        if current.folders.isEmpty {
            throw ConfigError(
                .unavailable,
                "there is no folder \(reader.roots.joined(separator: ", ")); create it, or name the folder that holds the configuration")
        }
        var tree: MemoryTree?
        for _ in 0..<20 where tree == nil {
            tree = try reader.read(current, old: listing, tree: newest)
            if tree == nil { current = try reader.list() }
        }
        guard let tree else { throw ConfigError(.unavailable, "the folders change faster than they can be read") }
        let hash = FolderReader.hash(of: tree)
        listing = current.settled(now: Timestamp.now.milliseconds / 1000)
        let old = newest
        newest = tree
        guard hash != newestHash || served == nil else {  // the same content under new dates
            found(.same)
            return []
        }
        newestHash = hash
        if hash == served?.hash {
            found(.restored)
            return []
        }
        let isFirst = served == nil
        let snapshot = FolderSnapshot(
            tree: tree, hash: hash, builder: builder, defaultLabel: defaultLabel, version: version,
            modified: isFirst ? tree.files.values.compactMap(\.modified).max() : Timestamp.now.milliseconds / 1000)
        let rejected = try reasonToReject(tree)
        let change = SnapshotChange(
            label: nil, from: served?.hash, to: hash, time: Timestamp.now.milliseconds / 1000, paths: Self.changed(old, tree),
            rejected: rejected,
            before: served, after: rejected == nil ? snapshot : served ?? snapshot)
        if rejected == nil { served = snapshot }
        found(.step(snapshot, change))
        return isFirst ? [] : [change]
    }

    /// A file that is broken in the tree and was not, or not so, in what is served. One that is broken as it was is no reason to hold back everything
    /// else: whoever asks for it gets the error.
    private func reasonToReject(_ tree: MemoryTree) throws(ConfigError) -> ConfigError? {
        guard let served else { return nil }
        do {
            try gate.check(Self.changed(served.tree, tree), in: tree)
            return nil
        } catch {
            guard error.code == .broken else { throw error }
            return error
        }
    }

    private static func changed(_ old: MemoryTree?, _ new: MemoryTree) -> [String] {
        guard let old else { return new.files.keys.sorted() }
        let paths = Set(old.files.keys).union(new.files.keys)
        return paths.filter { old.files[$0] !== new.files[$0] && old.files[$0]?.bytes != new.files[$0]?.bytes }.sorted()
    }
}
