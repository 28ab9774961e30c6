package import ConfigModel

extension EnvironmentBuilder {
    /// The whole answer for an audience whose label may be a list: the trees of all labels, the last one on top. Nothing is mixed: `tree` gives each
    /// label's tree once. Throws what `tree` throws for a label that does not exist, unless `skipsMissing` and another label does.
    package func environment(
        for audience: Audience, defaultLabel: String, skipsMissing: Bool = false, state: String? = nil,
        tree: (String) async throws(ConfigError) -> any FileTree
    ) async throws(ConfigError) -> ConfigEnvironment {
        var result = ConfigEnvironment(
            name: audience.applications.joined(separator: ","), profiles: [audience.profiles.joined(separator: ",")], label: audience.label,
            state: state)
        var versions: [String] = []
        for label in Self.labels(audience.label, defaultLabel: defaultLabel) {
            let one: any FileTree
            do { one = try await tree(label) } catch {
                guard skipsMissing, audience.label?.contains(",") == true, error.code == .notFound else { throw error }
                continue
            }
            result.propertySources = try sources(in: one, for: audience, label: label) + result.propertySources
            if let version = one.version { versions.append(version) }
        }
        if !versions.isEmpty { result.version = versions.joined(separator: ",") } else if skipsMissing { result.version = "" }
        result.snapshot = result.version
        return result
    }

    /// The labels that a request names, in its order; the default one when it names none.
    package static func labels(_ requested: String?, defaultLabel: String) -> [String] {
        let labels = (requested ?? "").split(separator: ",").map(\.trimmingBlanks).filter { !$0.isEmpty }
        return labels.isEmpty ? [defaultLabel] : labels
    }
}
