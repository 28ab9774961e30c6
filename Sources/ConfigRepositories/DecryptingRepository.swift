package import ConfigModel

/// A repository whose `{cipher}` values are decrypted before they are served. What cannot be decrypted is served as `invalid.KEY` = `<n/a>`: never as
/// the text that it was encrypted to.
package struct DecryptingRepository: ConfigRepository {
    package let base: any ConfigRepository
    private let decrypt: @Sendable (_ text: String, _ key: String) -> String?

    /// `decrypt` gets what stands behind `{cipher}` and the name of the property, and returns nil for what it has no key for: everything, by default.
    package init(_ base: any ConfigRepository, decrypt: @escaping @Sendable (_ text: String, _ key: String) -> String? = { _, _ in nil }) {
        self.base = base
        self.decrypt = decrypt
    }

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        var environment = try await base.environment(for: audience)
        for index in environment.propertySources.indices
        where environment.propertySources[index].properties.contains(where: { Self.cipher($0.value) != nil }) {
            environment.propertySources[index].properties = decrypted(environment.propertySources[index].properties)
        }
        return environment
    }

    /// Decrypted properties stand behind the others, and have no place in the file any more, as in the original.
    private func decrypted(_ properties: [Property]) -> [Property] {
        var plain: [Property] = []
        var changed: [Property] = []
        for property in properties {
            guard let text = Self.cipher(property.value) else {
                plain.append(property)
                continue
            }
            if let value = decrypt(text, property.key) {
                changed.append(Property(key: property.key, value: .string(value)))
            } else {
                changed.append(Property(key: "invalid." + property.key, value: .string("<n/a>")))
            }
        }
        return plain + changed
    }

    private static func cipher(_ value: PropertyValue) -> String? {
        guard case .string(let text) = value, text.hasPrefix("{cipher}") else { return nil }
        return String(text.dropFirst(8))
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
