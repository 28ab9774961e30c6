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
    /// All events that ever came: counts up, and begins anew where the broker forgets; nil where it does not count.
    public var published: Int?
    /// All events that the group has ever done: counts up, and begins anew where the broker forgets; nil where it does not count.
    public var acknowledged: Int?
    /// How many members can work at once, where the destination has partitions that each belong to one member.
    public var partitions: Int?
    /// How far the group has come in each partition; empty where there are none or the broker does not tell.
    public var progress: [PartitionProgress]
    /// What the numbers leave out, for people.
    public var note: String?

    public init(
        ready: Int, inHand: Int?, delayed: Int?, dead: Int? = nil, members: Int? = nil, oldestAge: Duration? = nil, published: Int? = nil,
        acknowledged: Int? = nil, partitions: Int? = nil, progress: [PartitionProgress] = [], note: String? = nil
    ) {
        self.ready = ready
        self.inHand = inHand
        self.delayed = delayed
        self.dead = dead
        self.members = members
        self.oldestAge = oldestAge
        self.published = published
        self.acknowledged = acknowledged
        self.partitions = partitions
        self.progress = progress
        self.note = note
    }

    /// All that is known to be not done: ready, in hand and delayed. At least as much is not done where the broker does not tell a part.
    public var total: Int { ready + (inHand ?? 0) + (delayed ?? 0) }
}

/// How far a group has come in one partition.
public struct PartitionProgress: Sendable, Hashable {
    /// For people and to tell partitions apart: `3`.
    public var partition: String
    /// Where the group stands; another number means that it has moved.
    public var committed: Int
    /// Events that it has not done.
    public var backlog: Int

    public init(partition: String, committed: Int, backlog: Int) {
        self.partition = partition
        self.committed = committed
        self.backlog = backlog
    }
}

/// A group of a destination.
package struct DestinationGroup: Sendable, Hashable, CustomStringConvertible {
    package var destination: Destination
    package var group: ConsumerGroup

    package init(_ destination: Destination, _ group: ConsumerGroup) {
        self.destination = destination
        self.group = group
    }

    package var description: String { "\(destination)/\(group)" }
}

/// Whoever can tell how far a group is behind.
package protocol BacklogReporting: Sendable {
    /// The group's backlog now. Throws `.invalid` when there is no such group: unknown is not zero.
    func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog

    /// The backlogs of many groups, with as few questions to the broker as it lets itself be asked by. What is missing in the answer is not known.
    func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>]
}

extension BacklogReporting {
    /// One after the other.
    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        var all: [DestinationGroup: Result<Backlog, BinderError>] = [:]
        all.reserveCapacity(groups.count)
        for one in groups {
            guard !Task.isCancelled else { break }
            do throws(BinderError) {
                all[one] = .success(try await backlog(of: one.destination, group: one.group))
            } catch { all[one] = .failure(error) }
        }
        return all
    }
}

/// Whoever can tell at once that a group has something to do.
package protocol BacklogWatching: Sendable {
    /// Calls `changed` with a group that has something to do where it had nothing, and at the begin with those that have, until cancelled. It must
    /// not block.
    func watch(_ groups: Set<DestinationGroup>, _ changed: @escaping @Sendable (DestinationGroup) -> Void) async
}
