package import ConfigModel

/// A repository of trees in memory by label: for tests, and the model that the conformance suite measures the others by.
package struct MemoryRepository: ConfigRepository {
    package let builder: EnvironmentBuilder
    package let trees: [String: MemoryTree]
    package let defaultLabel: String

    /// `trees` by label; one without any label is served for all under the default label only.
    package init(_ trees: [String: MemoryTree], defaultLabel: String = "main", builder: EnvironmentBuilder) {
        self.trees = trees
        self.defaultLabel = defaultLabel
        self.builder = builder
    }

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        try await builder.environment(for: audience, defaultLabel: defaultLabel) { (label) throws(ConfigError) in try tree(label) }
    }

    /// Its trees never change.
    package var generation: Int? { 0 }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        let label = audience.label ?? defaultLabel
        guard let found = try builder.resource(path, in: try tree(label), for: audience, label: label) else {
            throw ConfigError(.notFound, "there is no file \(path) for \(audience.applications.joined(separator: ",")) at \(label)")
        }
        return found
    }

    private func tree(_ label: String) throws(ConfigError) -> MemoryTree {
        guard let tree = trees[label] else { throw ConfigError(.notFound, "No such label: \(label)") }
        return tree
    }
}
