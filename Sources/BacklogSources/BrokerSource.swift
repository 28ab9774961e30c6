package import Autoscaler
internal import Locking
package import Streams

/// A broker as a source: all groups by as few questions as its binder needs.
package final class BrokerSource: BacklogSource {
    package let name: String
    let reporting: any BacklogReporting
    private let stuckLimit: Duration
    private let state = Locked(State())

    private typealias Answers = [DestinationGroup: Result<Backlog, BinderError>]
    private typealias Asked = Question<Answers>

    private struct State: Sendable {
        /// The last question; while it is open, no other is asked: a broker that is slow is not asked more than one that is quick.
        var question: Asked?
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
        let (question, before) = state.withLock { [reporting] state in
            let last = state.question.flatMap { $0.isTaken ? nil : $0 }
            if let last, last.late == nil { return (last, nil as Asked?) }
            let new = Asked { await reporting.backlogs(of: queues) }
            state.question = new
            return (new, last)
        }
        if let answers = await question.answer(within: limit) { return reports(of: queues, answers, asked: question.asked) }
        // An answer that came too late for the last poll is old, but an answer.
        if let before, let answers = before.late { return reports(of: queues, answers, asked: before.asked) }
        return queues.reduce(into: [:]) {
            $0[$1] = .unknown("\(name) has not answered within \(limit); does it run, and is its address right?")
        }
    }

    private func reports(
        of queues: Set<DestinationGroup>, _ answers: Answers, asked: ContinuousClock.Instant
    ) -> [DestinationGroup: QueueReport] {
        let now = ContinuousClock.now
        let age = asked.duration(to: now) / .seconds(1)
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
