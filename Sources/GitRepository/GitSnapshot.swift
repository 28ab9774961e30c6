package import ConfigModel
package import ConfigRepositories
import ThreadExecutor

/// A repository frozen at one moment: names and the commits they meant then. Immutable; every answer comes from the commits of its labels.
package struct GitSnapshot: ConfigRepository {
    /// What all snapshots of one repository share.
    struct Context: Sendable {
        let settings: GitSettings
        /// With placeholders, as configured.
        let template: GitURI
        /// Of this repository.
        let uri: GitURI
        let store: any ObjectStore
        /// The thread on which `store` is read.
        let thread: ThreadExecutor
        let folders: FolderCache
        let parsed: ParsedFiles
        /// Whether a commit id is older than one of the served commits, kept since history is walked for it.
        let contained: ContainedCommits
    }
    let context: Context
    /// What is served under which name.
    package let references: References

    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        let settings = context.settings
        try checkPlace(of: audience)
        let builder = builder
        return try await withTaskExecutorPreference(context.thread) { () throws(ConfigError) in
            try await builder.environment(
                for: audience, defaultLabel: settings.defaultLabel, skipsMissing: settings.skipsMissingLabels, state: ""
            ) { (label) throws(ConfigError) in try tree(label) }
        }
    }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        try checkPlace(of: audience)
        let label = audience.label ?? context.settings.defaultLabel
        let builder = builder
        return try await withTaskExecutorPreference(context.thread) { () throws(ConfigError) in
            guard let found = try builder.resource(path, in: try tree(label), for: audience, label: label) else {
                throw ConfigError(.notFound, "there is no file \(path) for \(audience.applications.joined(separator: ",")) at \(label)")
            }
            return found
        }
    }

    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        let labels = EnvironmentBuilder.labels(audience.label, defaultLabel: context.settings.defaultLabel)
        return try await withTaskExecutorPreference(context.thread) { () throws(ConfigError) in
            for wanted in version.split(separator: ",") {
                guard let id = try context.store.commit(prefix: String(wanted)) else { return false }
                var heads: [ObjectID] = []
                for label in labels { if let head = try commit(label) { heads.append(head) } }
                if heads.contains(id) { continue }
                guard try context.store.isContained(id, in: heads) else { return false }
            }
            return true
        }
    }

    private var builder: EnvironmentBuilder {
        EnvironmentBuilder(
            locations: .searchPaths(context.settings.searchPaths), prefix: context.uri.shown + "/",
            checksProfiles: context.settings.checksProfiles, parsed: context.parsed)
    }

    /// An audience whose values lead to another repository finds nothing in this one.
    private func checkPlace(of audience: Audience) throws(ConfigError) {
        guard context.template.hasPlaceholders else { return }
        let label = audience.label ?? context.settings.defaultLabel
        guard try context.template.expanded(for: audience, label: label) == context.uri else {
            throw ConfigError(.notFound, "\(context.uri.shown) is not the repository of \(audience.applications.joined(separator: ","))")
        }
    }

    /// Whether every label that the audience names means a commit.
    func hasLabels(of audience: Audience) async throws(ConfigError) -> Bool {
        let labels = EnvironmentBuilder.labels(audience.label, defaultLabel: context.settings.defaultLabel)
        return try await withTaskExecutorPreference(context.thread) { () throws(ConfigError) in
            for label in labels where try commit(label) == nil { return false }
            return true
        }
    }

    /// The files of one label. Throws `.notFound` when no branch, tag or commit is named so. On the reading thread only.
    func tree(_ label: String) throws(ConfigError) -> CommitTree {
        guard let id = try commit(label) else { throw ConfigError(.notFound, "No such label: \(label)") }
        return try tree(of: id)
    }

    func tree(of id: ObjectID) throws(ConfigError) -> CommitTree {
        CommitTree(commit: id, root: try context.store.commit(id).tree, store: context.store, folders: context.folders)
    }

    /// Branch, then tag, then commit id. Names are never expressions (`HEAD`, `main~1`, `refs/…`), and of commits only those that the history of
    /// what is served contains: what was pushed away (a secret, say) cannot be had by its id.
    private func commit(_ label: String) throws(ConfigError) -> ObjectID? {
        if let id = references[label] { return id }
        let settings = context.settings
        if label == "main", settings.triesMaster, settings.defaultLabel == "main", let id = references["master"] { return id }
        guard let id = try context.store.commit(prefix: label) else { return nil }
        return try context.contained.isContained(id, in: references, of: context.store) ? id : nil
    }
}
