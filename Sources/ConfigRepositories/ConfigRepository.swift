package import ConfigModel
package import Lifecycle

/// Where configuration comes from. Every answer is of one snapshot; an implementation never mixes two.
package protocol ConfigRepository: Sendable {
    /// The merged environment. Throws `ConfigError` with the code that decides the HTTP status.
    func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment

    /// The file that a plain text request means: the first that exists by location, then profile (config.md §1.9).
    func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource

    /// Grows with every change of what is served or of `status`: an answer may be given again while this is the same. Nil: answers may not be kept.
    /// Cheap, and called on any thread.
    var generation: Int? { get }

    /// How far what is served can be relied on. Cheap, and called on any thread.
    func status(for audience: Audience) -> RepositoryStatus

    /// Whether what is served to the audience is that version, or came after it.
    func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool
}

extension ConfigRepository {
    package var generation: Int? { nil }

    package func status(for audience: Audience) -> RepositoryStatus { RepositoryStatus() }

    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        let served = try await environment(for: audience)
        return served.version == version || served.snapshot == version
    }
}

/// What a client should know about an answer beside the answer.
package struct RepositoryStatus: Sendable, Hashable {
    /// Since when the source cannot be reached, in seconds since 1970: what is served may be old. Nil when it can.
    package var staleSince: Int64?
    /// The newer version that is not served because it is broken, and why.
    package var rejected: Rejection?

    package struct Rejection: Sendable, Hashable {
        package var version: String
        package var reason: String
        package init(version: String, reason: String) {
            self.version = version
            self.reason = reason
        }
    }

    package init(staleSince: Int64? = nil, rejected: Rejection? = nil) {
        self.staleSince = staleSince
        self.rejected = rejected
    }
}

/// A file served as it is.
package struct ConfigResource: Sendable {
    package var path: String
    package var bytes: [UInt8]
    package var version: String?
    /// When the file was last changed, in seconds since 1970; nil where that is not known.
    package var modified: Int64?
    package init(path: String, bytes: [UInt8], version: String?, modified: Int64? = nil) {
        self.path = path
        self.bytes = bytes
        self.version = version
        self.modified = modified
    }
}

/// A file tree at one moment: a commit, or a folder as it was read. Immutable.
package protocol FileTree: Sendable {
    /// The commit id; nil for a folder.
    var version: String? { get }
    /// The bytes of a file by its path without leading slash; nil when there is no such file. Links are followed within the tree only.
    func file(_ path: String) throws(ConfigError) -> [UInt8]?
    /// Names in a folder ("" is the root), each with whether it is a folder; nil when there is no such folder.
    func list(_ folder: String) throws(ConfigError) -> [(name: String, isFolder: Bool)]?
    /// What tells this content of the file from any other, in this tree and all others of the process: the object id of a blob. Files that are the
    /// same need not have the same identity. Nil when there is no such file.
    func identity(of path: String) throws(ConfigError) -> FileIdentity?
    /// When the file was last changed, in seconds since 1970; nil where that is not known.
    func modified(_ path: String) -> Int64?
    /// The path as messages show it.
    func shown(_ path: String) -> String
}

extension FileTree {
    package func modified(_ path: String) -> Int64? { nil }

    package func shown(_ path: String) -> String { path }
}

/// The key under which a parsed file is kept.
package enum FileIdentity: Sendable, Hashable {
    /// The id of a Git object: equal ids mean equal bytes.
    case object(String)
    /// A content read by this process, numbered.
    case read(Int)
}

/// Why configuration cannot be had.
package struct ConfigError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// No such label, or resource: 404.
        case notFound
        /// A name that is not allowed: 400.
        case invalid
        /// A file that cannot be read as what it is: 500.
        case broken
        /// The repository cannot be reached and nothing of it is at hand: 503.
        case unavailable
    }
    package let code: Code
    /// Names the thing, the place (file, line) and the remedy; never a value.
    package let message: String
    /// What the original says of the same trouble, where that is known: for bodies that its clients compare.
    package let original: String?
    package init(_ code: Code, _ message: String, original: String? = nil) {
        self.code = code
        self.message = message
        self.original = original
    }
    package var description: String { message }
}

/// A repository whose content changes while it is served.
package protocol ChangingRepository: ConfigRepository, Service {
    /// Looks for changes now and returns when what was found is served (or rejected): the changes of this look, also given to `onChange`.
    /// Throws `.unavailable` when the source cannot be reached; what was served goes on being served.
    @discardableResult
    func refresh() async throws(ConfigError) -> [SnapshotChange]

    /// `handler` is called for each change, one at a time and in order, after the new snapshot is served. Set before `run`.
    func onChange(_ handler: @escaping @Sendable (SnapshotChange) async -> Void)
}

/// One step of a repository from snapshot to snapshot.
package struct SnapshotChange: Sendable {
    /// The branch that moved; nil for a folder.
    package var label: String?
    package var from: String?
    /// The commit that is served now, or that was rejected; for a folder the hash of its content.
    package var to: String
    package var author: String?
    /// First line of the commit's message.
    package var summary: String?
    package var time: Int64?
    /// Paths that were added, changed or removed.
    package var paths: [String]
    /// Why the new snapshot is not served: the last good one stays.
    package var rejected: ConfigError?
    /// The repository frozen before and after the step, for comparing environments. `before` is nil at the first snapshot of a label.
    package var before: (any ConfigRepository)?
    package var after: any ConfigRepository

    package init(
        label: String?, from: String?, to: String, author: String? = nil, summary: String? = nil, time: Int64? = nil, paths: [String] = [],
        rejected: ConfigError? = nil, before: (any ConfigRepository)?, after: any ConfigRepository
    ) {
        self.label = label
        self.from = from
        self.to = to
        self.author = author
        self.summary = summary
        self.time = time
        self.paths = paths
        self.rejected = rejected
        self.before = before
        self.after = after
    }
}
