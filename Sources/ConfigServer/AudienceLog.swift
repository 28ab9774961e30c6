import ConfigModel
import ConfigRepositories
import Locking

/// Who asked for configuration lately. Bounded: the audience that asked longest ago is forgotten first.
final class AudienceLog: Sendable {
    private let known: Locked<LeastRecentlyUsed<Audience, Int>>

    init(limit: Int) { known = Locked(LeastRecentlyUsed(limit: limit)) }

    /// `at` in seconds of the monotonic clock.
    func asked(_ audience: Audience, at: Int) {
        known.withLock { known in
            let last = known.value(for: audience) ?? at
            known.insert(max(last, at), for: audience)
        }
    }

    /// Audiences that asked at that time or later.
    func audiences(since: Int) -> [Audience] {
        known.withLock { known in known.entries.filter { $0.value >= since }.map(\.key) }
    }
}
