internal import Autoscaler
internal import Lifecycle
internal import Locking
internal import Telemetry

extension ScalingEngine {
    /// Where rounds begin their work: a task group of whoever drives them.
    package typealias Begin = (@escaping @Sendable () async -> Void) -> Void

    /// One round, whole: every policy that is not in hand decides once. For tests and measurements; `run` begins the next round without waiting.
    package func round() async {
        await withDiscardingTaskGroup { group in round { work in group.addTask { await work() } } }
    }

    /// Begins a round. A policy that is still in hand from before, or whose source is, is left to that.
    func round(_ begin: Begin) {
        guard term != nil else { return }
        let free = state.withLock { state in sources.indices.filter { !state.busySources.contains($0) } }
        let isFree = Set(free)
        var taken: [Int: RoundCount] = [:]
        for (index, plan) in plans.enumerated() {
            let needed = Set(plan.queues.map(\.source))
            guard needed.isSubset(of: isFree), slots[index].take() else { continue }
            if needed.isEmpty {
                begin { await self.step(index) }
            } else {
                taken[index] = RoundCount(needed.count)
            }
        }
        for source in free {
            let parts = users[source].filter { taken[$0.policy] != nil }
            guard !parts.isEmpty else { continue }
            state.withLock { _ = $0.busySources.insert(source) }
            let counts = taken
            begin { await self.read(source, parts, counts) }
        }
    }

    /// Reads the queues of one source at once; policies for which it was the last one go on.
    private func read(_ source: Int, _ parts: [(policy: Int, queue: Int)], _ counts: [Int: RoundCount]) async {
        await ask(source, Set(parts.map(\.queue)))
        state.withLock { _ = $0.busySources.remove(source) }
        await withDiscardingTaskGroup { group in
            for policy in Set(parts.map(\.policy)) where counts[policy]?.isLast() == true { group.addTask { await self.step(policy) } }
        }
    }

    /// A source may take as long as a poll.
    private var readLimit: Duration { .milliseconds(Int64(min(max(configuration.poll, 1), 30) * 1000)) }

    /// Asks a source for queues and hands what it says to the policies that have them.
    func ask(_ source: Int, _ queues: Set<Int>) async {
        let limit = readLimit
        // A source that keeps no time itself is not waited for.
        let answer = await withTimeLimit(limit + .seconds(1)) { [source = sources[source]] in await source.read(queues, within: limit) }
        let reports =
            answer ?? Dictionary(uniqueKeysWithValues: queues.map { ($0, .unknown("\(sources[source].name) did not answer in time")) })
        let readAt = clock.steady()
        for queue in queues {
            let report = reports[queue] ?? .unknown("\(sources[source].name) does not tell of this queue")
            for policy in queueUsers[source][queue] ?? [] { take(report, of: .init(source: source, queue: queue), for: policy, at: readAt) }
        }
    }

    private func take(_ report: QueueReport, of number: PlannedPolicy.QueueNumber, for policy: Int, at readAt: Seconds) {
        let queues = plans[policy].queues
        slots[policy].withLock { slot in
            if slot.reports.count != queues.count { slot.reports = queues.map { _ in .unknown("not read yet") } }
            for place in queues.indices where queues[place] == number { slot.reports[place] = report }
            slot.readAt = max(slot.readAt ?? readAt, readAt)
            if report.problem != nil { slot.sourceErrors += 1 }
        }
    }

    /// Looks at one policy now: its queues are read again. Where somebody has it in hand, it is looked at once more after that.
    func look(at index: Int) async {
        guard term != nil, slots[index].take(orAgain: true) else { return }
        await withDiscardingTaskGroup { group in
            for source in Set(plans[index].queues.map(\.source)) {
                let queues = Set(plans[index].queues.filter { $0.source == source }.map(\.queue))
                group.addTask { await self.ask(source, queues) }
            }
        }
        await step(index)
    }

    /// Something may have changed for a policy: it is looked at soon.
    func hint(_ index: Int) {
        let wake = state.withLock { state in
            state.hinted.insert(index)
            defer { state.wake = nil }
            return state.wake
        }
        wake?.request()
    }

    /// Returns the policies that something may have changed for; waits until there are some.
    func hints() async -> Set<Int> {
        while !Task.isCancelled {
            let signal = ShutdownSignal()
            let hinted = state.withLock { state -> Set<Int> in
                guard state.hinted.isEmpty else {
                    defer { state.hinted = [] }
                    return state.hinted
                }
                state.wake = signal
                return []
            }
            if !hinted.isEmpty { return hinted }
            await signal.wait()
        }
        return []
    }
}

/// How many sources of a policy have not answered yet in a round.
private final class RoundCount: Sendable {
    private let left: Locked<Int>
    init(_ count: Int) { left = Locked(count) }
    func isLast() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }
}
