package import ConfigRepositories

/// The objects and references of one Git repository, read only. Every call may block on the disk: make it on a thread for that, never on the
/// cooperative pool. All throw `.unavailable` where the repository cannot be read, and `.broken` where what it holds is damaged.
package protocol ObjectStore: Sendable {
    /// Branches and tags as they are now; those that do not lead to a commit are left out.
    func references() throws(ConfigError) -> References

    /// The commit whose id begins with `prefix` (4 to 40 hexadecimal digits); nil when there is none or more than one.
    func commit(prefix: String) throws(ConfigError) -> ObjectID?

    /// Whether `commit` is one of `heads` or one of their ancestors.
    func isContained(_ commit: ObjectID, in heads: [ObjectID]) throws(ConfigError) -> Bool

    /// What is known of a commit.
    func commit(_ id: ObjectID) throws(ConfigError) -> Commit

    /// The entries of a tree, in Git's order.
    func tree(_ id: ObjectID) throws(ConfigError) -> [TreeEntry]

    /// The bytes of a blob.
    func blob(_ id: ObjectID) throws(ConfigError) -> [UInt8]
}

/// Names of a repository and the commits they mean.
package struct References: Sendable, Hashable {
    package var branches: [String: ObjectID]
    package var tags: [String: ObjectID]
    package init(branches: [String: ObjectID] = [:], tags: [String: ObjectID] = [:]) {
        self.branches = branches
        self.tags = tags
    }

    /// The commit of a branch or tag of exactly that name. A branch wins over a tag: it is what people push to.
    package subscript(_ name: String) -> ObjectID? { branches[name] ?? tags[name] }

    /// Every commit that has a name, once.
    package var heads: [ObjectID] { Array(Set(branches.values).union(tags.values)) }
}

package struct Commit: Sendable, Hashable {
    package var id: ObjectID
    package var tree: ObjectID
    package var author: String
    /// First line of the message.
    package var summary: String
    /// Milliseconds since 1970 of the commit.
    package var time: Int64
}

package struct TreeEntry: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case file, folder, link
    }
    package var name: String
    package var id: ObjectID
    package var kind: Kind
}
