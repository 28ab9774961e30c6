import ConfigModel
import ConfigRepositories
import Locking

/// Sees to it that a client that knows of a version is not given an older one.
struct Freshness: Sendable {
    private let repository: any ConfigRepository
    private let changing: [any ChangingRepository]
    private let looks = Looks()

    /// Looks for changes that are under way or over: clients cannot make the server look more often than it can.
    private final class Looks: Sendable {
        let last = Locked<ContinuousClock.Instant?>(nil)
    }

    init(_ repository: any ConfigRepository, changing: [any ChangingRepository]) {
        self.repository = repository
        self.changing = changing
    }

    /// Returns when what is served to the audience contains the version. Throws `.unavailable` when it does not, even after looking for changes.
    func reach(_ version: String, for audience: Audience) async throws(ConfigError) {
        guard (1...128).contains(version.utf8.count),
            version.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+-._".contains($0)) })
        else {
            throw ConfigError(.invalid, "the minimum version is not a version: give the commit id that X-Config-Version showed")
        }
        if try await repository.contains(version, for: audience) { return }
        let now = ContinuousClock.now
        let looks = looks.last.withLock { last in
            if let last, now - last < .milliseconds(200) { return false }
            last = now
            return true
        }
        if looks {
            var failure: ConfigError?
            for one in changing {
                do { try await one.refresh() } catch { failure = failure ?? error }
            }
            if try await repository.contains(version, for: audience) { return }
            if let failure { throw ConfigError(.unavailable, "version \(version) is not here yet: \(failure.message)") }
        }
        throw ConfigError(.unavailable, "version \(version) is not here yet; ask again")
    }
}
