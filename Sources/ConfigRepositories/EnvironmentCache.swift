package import ConfigModel
import Locking

/// Merged environments by what they were made from and for whom; bounded by the number of properties kept.
package final class EnvironmentCache: Sendable {
    private struct Key: Hashable {
        let tree: String
        let audience: Audience
    }
    private let kept: Locked<LeastRecentlyUsed<Key, ConfigEnvironment>>

    /// `limit` is in properties over all environments kept.
    package init(limit: Int = 50_000) { kept = Locked(LeastRecentlyUsed(limit: limit)) }

    /// The environment kept for that state of the files, which `tree` names (a commit, a hash), or the one that `make` gives.
    package func environment(
        of tree: String, for audience: Audience, make: () async throws(ConfigError) -> ConfigEnvironment
    ) async throws(ConfigError) -> ConfigEnvironment {
        let key = Key(tree: tree, audience: audience)
        if let known = kept.withLock({ $0.value(for: key) }) { return known }
        let made = try await make()
        kept.withLock { $0.insert(made, for: key, cost: made.propertySources.reduce(16) { $0 + $1.properties.count }) }
        return made
    }
}
