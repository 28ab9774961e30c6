import ConfigRepositories

/// What is served of a repository, and how it follows what the repository has: a branch moves on only to a commit that passes the gate.
struct Succession: Sendable {
    /// One step of one name.
    struct Step: Sendable {
        var name: String
        var from: ObjectID?
        var to: ObjectID
        var paths: [String]
        var rejected: ConfigError?
        /// What is served after the step.
        var served: References
    }
    private(set) var served: References
    /// Commits that did not pass, by branch: each is told once.
    private var rejected: [String: (commit: ObjectID, error: ConfigError)] = [:]

    /// The newest commits that are not served, and why, by branch.
    var refused: [String: RepositoryStatus.Rejection] {
        rejected.mapValues { RepositoryStatus.Rejection(version: $0.commit.hex, reason: $0.error.message) }
    }

    /// `lastGood` is what was served of branches by the process before this one.
    init(lastGood: [String: ObjectID] = [:]) { served = References(branches: lastGood) }

    /// Follows `found`. `tree` gives a commit's files and throws where history has lost it; `judge` throws why a new commit is not to be served.
    mutating func follow(
        _ found: References, keepsDeleted: Bool, tree: (ObjectID) throws(ConfigError) -> CommitTree,
        judge: (CommitTree, [String]) throws(ConfigError) -> Void
    ) throws(ConfigError) -> [Step] {
        if !keepsDeleted {
            served.branches = served.branches.filter { found.branches[$0.key] != nil }
            served.tags = served.tags.filter { found.tags[$0.key] != nil }
            rejected = rejected.filter { found.branches[$0.key] != nil }
        }
        var steps: [Step] = []
        for (name, new) in found.branches.sorted(by: { $0.key < $1.key }) {
            guard served.branches[name] != new else {
                rejected[name] = nil
                continue
            }
            guard rejected[name]?.commit != new else { continue }
            let after = try tree(new)
            var step = Step(name: name, from: served.branches[name], to: new, paths: [], rejected: nil, served: served)
            if let old = step.from, let before = try? tree(old) {
                step.paths = try after.changes(since: before)
                do { try judge(after, step.paths + after.movedLinks(since: before)) } catch {
                    guard error.code == .broken else { throw error }
                    let reason = ConfigError(.broken, "commit \(new.hex.prefix(12)) of \(name) is not served: \(error.message)")
                    rejected[name] = (new, reason)
                    step.rejected = reason
                    steps.append(step)
                    continue
                }
            } else {
                step.from = nil  // nothing better to serve is known: the commit is served, and a broken file is told to whom it concerns
            }
            rejected[name] = nil
            served.branches[name] = new
            step.served = served
            steps.append(step)
        }
        for (name, new) in found.tags.sorted(by: { $0.key < $1.key }) where served.tags[name] != new {
            let old = served.tags.updateValue(new, forKey: name)
            guard let old, found.branches[name] == nil else { continue }
            steps.append(
                Step(name: name, from: old, to: new, paths: (try? tree(new).changes(since: tree(old))) ?? [], rejected: nil, served: served)
            )
        }
        return steps
    }
}
