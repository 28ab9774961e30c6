package import ConfigModel

/// A repository with properties on top that no file can replace: `overrides` in the settings of the server.
package struct OverridingRepository: ConfigRepository {
    package let base: any ConfigRepository
    package let overrides: [Property]

    package init(_ base: any ConfigRepository, overrides: [Property]) {
        self.base = base
        self.overrides = overrides
    }

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        var environment = try await base.environment(for: audience)
        if !overrides.isEmpty { environment.propertySources.insert(PropertySource(name: "overrides", properties: overrides), at: 0) }
        return environment
    }

    package var generation: Int? { base.generation }

    package func status(for audience: Audience) -> RepositoryStatus { base.status(for: audience) }

    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        try await base.contains(version, for: audience)
    }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        try await base.resource(path, for: audience)
    }
}
