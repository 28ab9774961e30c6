/// A place that tells of queues: a broker, a metrics server, a page. One for each place, shared by all policies that ask it.
package protocol BacklogSource: Sendable {
    associatedtype Queue: Sendable, Hashable

    /// For people, without secrets: `rabbitmq at broker:5672`.
    var name: String { get }

    /// What it says of each of these queues now, in one go; a queue that is missing in the answer is unknown. Never throws: what could not be read
    /// says why. Takes no longer than `limit`.
    func read(_ queues: Set<Queue>, within limit: Duration) async -> [Queue: QueueReport]

    /// Calls `changed` with a queue that has something to do where there was nothing, until cancelled. Returns at once where the source cannot
    /// push: such a queue is seen at the next poll.
    func watch(_ queues: Set<Queue>, _ changed: @escaping @Sendable (Queue) -> Void) async
}

extension BacklogSource {
    package func watch(_ queues: Set<Queue>, _ changed: @escaping @Sendable (Queue) -> Void) async {}
}

/// A reading of one queue, with what people want to know of it besides.
package struct QueueReport: Sendable, Hashable {
    package var reading: QueueReading
    /// Members of the group that live; nil where the source does not tell.
    package var members: Int?
    /// Why nothing is known, with the remedy.
    package var problem: String?
    /// What the numbers leave out: `what workers have in hand is not counted: the management API does not answer`.
    package var note: String?
    /// Partitions that have a backlog and members, and do not move.
    package var stuck: [String]

    package init(_ reading: QueueReading, members: Int? = nil, problem: String? = nil, note: String? = nil, stuck: [String] = []) {
        self.reading = reading
        self.members = members
        self.problem = problem
        self.note = note
        self.stuck = stuck
    }

    /// Nothing is known, and this is why.
    package static func unknown(_ problem: String) -> QueueReport { QueueReport(.unknown, problem: problem) }
}
