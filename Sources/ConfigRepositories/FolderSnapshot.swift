package import ConfigModel

/// What folders held when they were read: immutable, and a repository of its own.
package struct FolderSnapshot: ConfigRepository {
    package let tree: MemoryTree
    /// Hash of all paths and contents.
    package let hash: String
    let builder: EnvironmentBuilder
    let defaultLabel: String
    let version: String?
    /// When the newest file was changed, or when a change was noticed.
    let modified: Int64?
    private let cache = EnvironmentCache()

    init(
        tree: MemoryTree, hash: String, builder: EnvironmentBuilder, defaultLabel: String, version: String?, modified: Int64?
    ) {
        self.tree = tree
        self.hash = hash
        self.builder = builder
        self.defaultLabel = defaultLabel
        self.version = version
        self.modified = modified
    }

    package var generation: Int? { 0 }

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        try await cache.environment(of: hash, for: audience) { () throws(ConfigError) in
            ConfigEnvironment(
                name: audience.applications.joined(separator: ","), profiles: [audience.profiles.joined(separator: ",")],
                label: audience.label,
                version: version, snapshot: hash,
                propertySources: try builder.sources(in: tree, for: audience, label: audience.label ?? defaultLabel))
        }
    }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        let label = audience.label ?? defaultLabel
        guard var found = try builder.resource(path, in: tree, for: audience, label: label) else {
            throw ConfigError(.notFound, "there is no file \(path) for \(audience.applications.joined(separator: ","))")
        }
        // What a template shows may have changed later than the template.
        found.modified = modified
        found.version = hash
        return found
    }
}
