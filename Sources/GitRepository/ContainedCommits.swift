import ConfigRepositories
import Locking

/// Remembers which commits the history of some heads contains.
final class ContainedCommits: Sendable {
    private struct State {
        var heads: Set<ObjectID> = []
        var answers: [ObjectID: Bool] = [:]
    }
    private let state = Locked(State())
    private static let most = 4096

    func isContained(_ commit: ObjectID, in references: References, of store: any ObjectStore) throws(ConfigError) -> Bool {
        let heads = Set(references.heads)
        if heads.contains(commit) { return true }
        let known = state.withLock { state in
            if state.heads != heads || state.answers.count > Self.most { state = State(heads: heads) }
            return state.answers[commit]
        }
        if let known { return known }
        let answer = try store.isContained(commit, in: Array(heads))
        state.withLock { state in
            if state.heads == heads { state.answers[commit] = answer }
        }
        return answer
    }
}
