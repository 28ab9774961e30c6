package import Autoscaler
internal import Locking

/// What cannot be done for an operator, and what to do instead.
package enum OperatingError: Error, Sendable, Hashable {
    case noPolicy(String)
    /// Another server leads, or nobody yet.
    case notLeading(String?)
    case ledger(String)
}

extension ScalingEngine {
    func index(of policy: String) throws(OperatingError) -> Int {
        guard let index = places[policy] else { throw .noPolicy(policy) }
        return index
    }

    /// What an operator wants from now on until it ends; nil takes it back. Decided by at once. Returns what counts, within what the policy allows.
    @discardableResult
    package func override(_ policy: String, _ wanted: Override?) async throws(OperatingError) -> Override? {
        let index = try index(of: policy)
        guard term != nil else { throw .notLeading(leader) }
        var override = wanted
        if let wanted, let count = wanted.count { override = .set(count, within: plans[index].policy, until: wanted.until) }
        do throws(LedgerError) { try await ledger.append([.override(policy: policy, override)], at: clock.wall()) } catch {
            throw .ledger(error.description)
        }
        slots[index].withLock { $0.override = override }
        await tell(override: override, of: index)
        await look(at: index)
        return override
    }

    /// What is known of a policy now.
    package func view(of policy: String) throws(OperatingError) -> PolicyView {
        PolicyView(plans[try index(of: policy)], try slot(of: policy), at: clock.wall())
    }

    private func slot(of policy: String) throws(OperatingError) -> PolicySlot { slots[try index(of: policy)].withLock { $0 } }

    /// All policies, by name.
    package var views: [PolicyView] {
        let time = clock.wall()
        return plans.indices.map { PolicyView(plans[$0], slots[$0].withLock { $0 }, at: time) }.sorted { $0.policy.name < $1.policy.name }
    }

    /// The decision that stood at that moment, with what became of it; nil where none is kept.
    package func decision(
        of policy: String, at time: Seconds
    ) async throws(OperatingError) -> (decision: Decision, result: String?)? {
        _ = try index(of: policy)
        do { return try await ledger.decision(of: policy, at: time) } catch { throw .ledger("\(error)") }
    }

    /// Decisions between two moments, the last `limit` of them.
    package func decisions(
        of policy: String, from: Seconds, to: Seconds, limit: Int
    ) async throws(OperatingError) -> [Decision] {
        _ = try index(of: policy)
        do {
            return try await ledger.decisions(of: policy, from: from, to: to, limit: limit).map(\.decision).filter { $0.time >= from }
        } catch { throw .ledger("\(error)") }
    }
}

/// What people and programs are shown of a policy.
package struct PolicyView: Sendable {
    package let policy: ScalingPolicy
    package let target: String
    package let last: Decision?
    /// Of the leader that made the last decision; 0: none was made.
    package let term: Int
    package let reports: [QueueReport]
    package let override: Override?
    /// The JSON text of the last result.
    package let result: String?
    package let alerts: [AlertBook.Kind: String]
    package let shadow: Shadow?
    package let lastShadow: Decision?
    package let owner: String?
    package let pending: String?
    package let targetProblem: String?
    let counts: [Decision.Outcome: Int]
    let sourceErrors: Int
    let readAt: Seconds?

    init(_ plan: PlannedPolicy, _ slot: PolicySlot, at time: Seconds) {
        policy = plan.policy
        target = plan.targetName
        last = slot.last
        term = slot.term
        reports = slot.reports
        override = slot.override.flatMap { $0.until > time ? $0 : nil }
        result = slot.result
        alerts = slot.alerts.open
        shadow = slot.shadow
        lastShadow = slot.lastShadow
        owner = slot.owner
        pending = slot.pending
        targetProblem = slot.targetProblem
        counts = slot.counts
        sourceErrors = slot.sourceErrors
        readAt = slot.readAt
    }

    /// Of all queues together; nil where one is unknown.
    package var backlog: Double? { sum(\.backlog) }
    package var oldest: Double? { reports.compactMap(\.reading.oldest.value).max() }
    package var arrivals: Double? {
        guard let last, !policy.queues.isEmpty else { return nil }
        return policy.queues.indices.reduce(0) { sum, place in
            guard let sum, let value = last.input("arrivals" + (place == 0 ? "" : " \(place + 1)"))?.value else { return nil }
            return sum + value
        }
    }

    private func sum(_ path: KeyPath<QueueReading, Reading>) -> Double? {
        guard !reports.isEmpty else { return nil }
        return reports.reduce(0) { sum, report in
            guard let sum, let value = report.reading[keyPath: path].value else { return nil }
            return sum + value
        }
    }

    /// Whether the promise is kept now: by the oldest message where the source tells it, else by how long what waits will take. Nil: unknown, or
    /// nothing is promised.
    package var isPromiseKept: Bool? {
        guard let promise = policy.promise else { return nil }
        if let oldest { return oldest <= promise }
        guard let backlog, let last, let rate = last.input("rate")?.value, let ready = last.current?.ready else { return nil }
        return backlog <= promise * rate * Double(ready)
    }
}
