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
        for member in members {
            do {
                result.propertySources += try await member.environment(for: audience).propertySources
                answered = true
            } catch {
                if failsTogether || error.code == .invalid { throw error }
                failure = failure ?? error
            }
        }
        if let failure, !answered { throw failure }
        return result
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
