import Streams

/// The queues of a virtual host as the management API tells of them.
struct ManagementAnswer: Sendable {
    private let queues: [String: RabbitMQManagement.Queue]
    /// Messages that wait for their retry, by the queue that they go back to.
    private var delayed: [String: Int] = [:]
    /// Queues with a delay queue that tells no number.
    private var uncounted: Set<String> = []
    /// Numbered queues of destinations with partitions, by their common name.
    private var numbered: [String: [String]] = [:]
    private let counts: Bool
    private let name: String

    init(_ queues: [String: RabbitMQManagement.Queue], counts: Bool, name: String) {
        self.queues = queues
        self.counts = counts
        self.name = name
        for (queue, numbers) in queues {
            guard let mark = queue.lastIndex(where: { !$0.isNumber }), queue.last?.isNumber == true else { continue }
            let stem = queue[..<mark]
            if queue[mark] == "-" { numbered[String(stem), default: []].append(queue) }
            if queue[mark] == ".", stem.hasSuffix(".retry") {
                let target = String(stem.dropLast(6))
                if let ready = numbers.ready { delayed[target, default: 0] += ready } else { uncounted.insert(target) }
            }
        }
    }

    func backlog(
        of group: DestinationGroup, _ configuration: RabbitMQConfiguration, now: Int64
    ) -> Result<Backlog, BinderError> {
        let named = QueueTopology.all(of: group.destination, group: group.group, configuration)
        let base = named[0].base
        var names = named.map(\.queue)
        // Whoever asks need not know that a destination has partitions.
        if names == [base], queues[base] == nil, let parts = numbered[base] { names = parts }
        var backlog = Backlog(
            ready: 0, inHand: 0, delayed: 0, dead: queues[named[0].deadLetterQueue]?.ready, members: 0, published: 0, acknowledged: 0,
            partitions: names == [base] ? nil : names.count)
        for queue in names {
            guard let found = queues[queue] else {
                return .failure(
                    BinderError(
                        .invalid,
                        "RabbitMQ has no queue \(queue) in the virtual host \(configuration.virtualHost); a member or `prepare` makes it"))
            }
            // A queue that was just made, or whose node is away, tells no numbers.
            guard let ready = found.ready, let unacknowledged = found.unacknowledged else {
                return .failure(
                    BinderError(.unreachable, "\(name) tells no numbers of the queue \(queue), which is new or whose node is away"))
            }
            guard !uncounted.contains(queue) else {
                return .failure(BinderError(.unreachable, "\(name) tells no numbers of the queue where retries of \(queue) wait"))
            }
            backlog.ready += ready
            backlog.inHand = (backlog.inHand ?? 0) + unacknowledged
            backlog.delayed = (backlog.delayed ?? 0) + (delayed[queue] ?? 0)
            backlog.members = found.consumers.flatMap { count in backlog.members.map { $0 + count } }
            backlog.published = (found.published ?? (counts ? 0 : nil)).flatMap { count in backlog.published.map { $0 + count } }
            backlog.acknowledged = (found.acknowledged ?? (counts ? 0 : nil)).flatMap { count in backlog.acknowledged.map { $0 + count } }
            if let time = found.headTime, time > 0, ready > 0 {
                backlog.oldestAge = max(backlog.oldestAge ?? .zero, .milliseconds(max(0, now - time * 1000)))
            }
        }
        if backlog.published == nil { backlog.note = "RabbitMQ does not count what comes: its `rates_mode` is `none`" }
        return .success(backlog)
    }
}
