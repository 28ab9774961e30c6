package import ConfigModel

/// Chooses a repository by patterns on `application/profile`, in order; what no pattern matches goes to the default one (config.md §2, `repos`).
package struct PatternRepository: ConfigRepository {
    package struct Choice: Sendable {
        package let name: String
        /// `app*/dev*`, or `app*` for all profiles.
        package let patterns: [String]
        package let repository: any ConfigRepository
        package init(name: String, patterns: [String], repository: any ConfigRepository) {
            self.name = name
            self.patterns = patterns
            self.repository = repository
        }

        /// Whether a pattern matches `application/profiles` as a whole. A pattern `p` without `/` also stands for `p/*`, and one that does not end
        /// in `*` for `p,*`: lists that begin with it.
        func matches(_ audience: Audience) -> Bool {
            let text = "\(audience.applications.joined(separator: ","))/\(audience.profiles.joined(separator: ","))"
            return patterns.contains { pattern in
                Wildcard.matches(pattern, text) || !pattern.contains("/") && Wildcard.matches(pattern + "/*", text)
                    || !pattern.hasSuffix("*") && Wildcard.matches(pattern + ",*", text)
            }
        }
    }
    package let choices: [Choice]
    package let otherwise: any ConfigRepository

    package init(_ choices: [Choice], otherwise: any ConfigRepository) {
        self.choices = choices
        self.otherwise = otherwise
    }

    /// The answer of the first matching repository that has the label. One that has no such label, or does not exist, leaves the answer to the next,
    /// as in the original; one that is broken or cannot be reached is an error, since another's configuration would be the wrong one.
    package func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        for choice in choices where choice.matches(audience) {
            do { return try await choice.repository.environment(for: audience) } catch {
                guard error.code == .notFound else { throw error }
            }
        }
        return try await otherwise.environment(for: audience)
    }

    package var generation: Int? {
        guard var sum = otherwise.generation else { return nil }
        for choice in choices {
            guard let generation = choice.repository.generation else { return nil }
            sum += generation
        }
        return sum
    }

    /// That of all that match, the default one included: which of them answers is known only afterwards.
    package func status(for audience: Audience) -> RepositoryStatus {
        CompositeRepository(choices.filter { $0.matches(audience) }.map(\.repository) + [otherwise]).status(for: audience)
    }

    package func contains(_ version: String, for audience: Audience) async throws(ConfigError) -> Bool {
        for choice in choices where choice.matches(audience) {
            do { return try await choice.repository.contains(version, for: audience) } catch {
                guard error.code == .notFound else { throw error }
            }
        }
        return try await otherwise.contains(version, for: audience)
    }

    package func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource {
        for choice in choices where choice.matches(audience) {
            do { return try await choice.repository.resource(path, for: audience) } catch {
                guard error.code == .notFound else { throw error }
            }
        }
        return try await otherwise.resource(path, for: audience)
    }
}
