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

extension OverridingRepository {
    /// Overrides from the original's own settings, as it serves them: `nested.key[0]` becomes `nested.key.0`, and keys come in the order of a table of
    /// 256 places for the hash codes of their names.
    package static func springOverrides(_ settings: [(key: String, value: String)]) -> [Property] {
        func hash(_ text: some StringProtocol) -> UInt32 {
            text.lowercased().utf16.reduce(0) { $1 == 45 ? $0 : $0 &* 31 &+ UInt32($1) }
        }
        let prefix = ["spring", "cloud", "config", "server", "overrides"]
        return settings.map { key, value in
            let parts = key.replacing("[", with: ".").replacing("]", with: "").split(separator: ".").map(String.init)
            let code = (prefix + parts).reduce(UInt32(0)) { $0 &* 31 &+ hash($1) }
            return (place: (code ^ code >> 16) & 255, property: Property(key: parts.joined(separator: "."), value: .string(value)))
        }.enumerated().sorted { ($0.element.place, $0.offset) < ($1.element.place, $1.offset) }.map(\.element.property)
    }
}
