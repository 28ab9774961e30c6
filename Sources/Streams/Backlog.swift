/// How much of a destination a group has not yet done.
public struct Backlog: Sendable, Hashable {
    /// Events that wait for a member: never handed out, or handed back.
    public var ready: Int
    /// Events that a member has in hand, unsettled; nil where the broker does not tell.
    public var inHand: Int?
    /// Events whose retry is not yet due; nil where the broker does not tell.
    public var delayed: Int?
    /// Dead letters of the group; nil where the broker does not tell.
    public var dead: Int?
    /// Members that are subscribed now; nil where the broker does not tell.
    public var members: Int?
    /// How long ago the oldest event that is not done was published; nil when there is none or the broker does not tell.
    public var oldestAge: Duration?

    public init(ready: Int, inHand: Int?, delayed: Int?, dead: Int? = nil, members: Int? = nil, oldestAge: Duration? = nil) {
        self.ready = ready
        self.inHand = inHand
        self.delayed = delayed
        self.dead = dead
        self.members = members
        self.oldestAge = oldestAge
    }

    /// All that is known to be not done: ready, in hand and delayed. At least as much is not done where the broker does not tell a part.
    public var total: Int { ready + (inHand ?? 0) + (delayed ?? 0) }
}

/// A binder that can tell how far a group is behind.
package protocol BacklogReporting: Sendable {
    /// The group's backlog now. Throws `.invalid` when there is no such group: unknown is not zero.
    func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog
}
