package import ConfigModel

/// Several repositories as one: the sources of the first stand above those of the next.
package struct CompositeRepository: ConfigRepository {
    package let members: [any ConfigRepository]
    /// Whether one member's failure is everybody's; otherwise the others answer.
    package let failsTogether: Bool

    /// `members` in the order of their precedence, highest first.
    package init(_ members: [any ConfigRepository], failsTogether: Bool = true) {
        self.members = members
        self.failsTogether = failsTogether
    }

    /// With one member that member's answer; with several there is no version, since none stands for all.
    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        if members.count == 1, let only = members.first { return try await only.environment(for: audience) }
        var result = ConfigEnvironment(
            name: audience.applications.joined(separator: ","), profiles: [audience.profiles.joined(separator: ",")], label: audience.label)
        var failure: ConfigError?
        var answered = false
        var snapshots: [String] = []
        for member in members {
            do {
                let one = try await member.environment(for: audience)
                result.propertySources += one.propertySources
                if let snapshot = one.snapshot { snapshots.append(snapshot) }
                answered = true
            } catch {
                if failsTogether || error.code == .invalid { throw error }
                failure = failure ?? error
            }
        }
        if let failure, !answered { throw failure }
        if !snapshots.isEmpty { result.snapshot = snapshots.joined(separator: "+") }
        return result
    }

    package var generation: Int? { Self.sum(members) }

    /// The sum grows when one of them does. Nil when one is nil.
    static func sum(_ repositories: [any ConfigRepository]) -> Int? {
        var sum = 0
        for repository in repositories {
            guard let generation = repository.generation else { return nil }
            sum += generation
        }
        return sum
    }

    /// The worst of all.
    package func status(for audience: Audience) -> RepositoryStatus {
        var result = RepositoryStatus()
        for status in members.map({ $0.status(for: audience) }) {
            if let since = status.staleSince { result.staleSince = min(since, result.staleSince ?? since) }
            result.rejected = result.rejected ?? status.rejected
        }
        return result
    }

    /// Whether one of them is at that version.
    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        var failure: ConfigError?
        for member in members {
            do { if try await member.contains(version, for: audience) { return true } } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return false
    }

    /// The first member's file that exists.
    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        var failure: ConfigError?
        for member in members {
            do { return try await member.resource(path, for: audience) } catch {
                // A member that cannot be asked may hold the file: what another one has is not the right answer then.
                if error.code != .notFound, failsTogether { throw error }
                failure = failure.map { $0.code == .notFound ? error : $0 } ?? error
            }
        }
        throw failure ?? ConfigError(.notFound, "there is no file \(path): no repository is configured")
    }
}
