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

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        try await base.resource(path, for: audience)
    }
}
