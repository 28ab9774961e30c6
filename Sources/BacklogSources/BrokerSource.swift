package import Autoscaler
internal import Locking
package import Streams

/// A broker as a source: all groups by as few questions as its binder needs.
package final class BrokerSource: BacklogSource {
    package let name: String
    let reporting: any BacklogReporting
    private let stuckLimit: Duration
    private let state = Locked(State())

    private struct State: Sendable {
        /// The last question; while it is open, no other is asked: a broker that is slow is not asked more than one that is quick.
        var question: Question<[DestinationGroup: Result<Backlog, BinderError>]>?
        /// What is remembered of groups whose brokers tell their partitions.
        var memories: [DestinationGroup: Memory] = [:]
    }

    private struct Memory: Sendable {
        var stuck: StuckPartitions
        var ages = OldestAges()
    }

    /// `stuckLimit`: how long a partition stands still with members that live until it is called stuck.
    package init(name: String, _ reporting: any BacklogReporting, stuckLimit: Duration = .seconds(300)) {
        self.name = name
        self.reporting = reporting
        self.stuckLimit = stuckLimit
    }

    package func read(_ queues: Set<DestinationGroup>, within limit: Duration) async -> [DestinationGroup: QueueReport] {
        let question = state.withLock { [reporting] state in
            if let open = state.question, !open.isTaken { return open }
            let new = Question { await reporting.backlogs(of: queues) }
            state.question = new
            return new
        }
        guard let answers = await question.answer(within: limit) else {
            return queues.reduce(into: [:]) { $0[$1] = .unknown("\(name) has not answered within \(limit)") }
        }
        let now = ContinuousClock.now
        let age = question.asked.duration(to: now) / .seconds(1)
        return state.withLock { state in
            let memories = state.memories
            var reports: [DestinationGroup: QueueReport] = [:]
            reports.reserveCapacity(queues.count)
            var next: [DestinationGroup: Memory] = [:]
            for queue in queues {
                switch answers[queue] {
                case .success(let backlog):
                    var report = QueueReport(backlog, age: age, of: queue, at: name)
                    if !backlog.progress.isEmpty {
                        var memory = memories[queue] ?? Memory(stuck: StuckPartitions(limit: stuckLimit))
                        report.stuck = memory.stuck.note(backlog.progress, members: backlog.members, at: now)
                        let oldest = memory.ages.note(backlog.progress, at: now)
                        if backlog.oldestAge == nil { report.reading.oldest = Reading(oldest) }
                        next[queue] = memory
                    }
                    reports[queue] = report
                case .failure(let error):
                    next[queue] = memories[queue]
                    reports[queue] = .unknown("\(name): \(error.message)")
                case nil:
                    next[queue] = memories[queue]
                    reports[queue] = .unknown("\(name) said nothing of \(queue)")
                }
            }
            state.memories = next
            return reports
        }
    }

    package func watch(_ queues: Set<DestinationGroup>, _ changed: @escaping @Sendable (DestinationGroup) -> Void) async {
        await (reporting as? any BacklogWatching)?.watch(queues, changed)
    }
}

extension QueueReport {
    /// `age`: how long the broker took, within which it may have read its numbers.
    init(_ backlog: Backlog, age: Seconds, of queue: DestinationGroup, at place: String) {
        guard backlog.ready >= 0, backlog.inHand ?? 0 >= 0, backlog.delayed ?? 0 >= 0 else {
            self = .unknown("\(place) told a negative number of \(queue), which is none")
            return
        }
        func reading(_ count: Int?) -> Reading { Reading(count.map(Double.init), age: age) }
        self.init(
            QueueReading(
                backlog: reading(backlog.total), published: reading(backlog.published), acknowledged: reading(backlog.acknowledged),
                oldest: Reading(backlog.oldestAge.map { $0 / .seconds(1) }, age: age), partitions: reading(backlog.partitions)),
            members: backlog.members, note: backlog.note)
    }
}
