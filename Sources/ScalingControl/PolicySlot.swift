internal import Autoscaler
internal import Locking

/// All that the engine holds of one policy. The parts under the lock change together; nothing is awaited under it.
struct PolicySlot: Sendable {
    /// A snapshot is written after so many decisions: so many are made again at most when the state is rebuilt.
    static let snapshotInterval = 60

    enum Phase: Sendable, Hashable {
        case idle
        /// Somebody reads, observes, decides or orders for it; `again`: and then it has to be looked at once more.
        case busy(again: Bool)
    }

    var state: PolicyState
    var shadow: Shadow?
    var phase = Phase.idle
    var last: Decision?
    var lastShadow: Decision?
    /// The JSON text of the last result.
    var result: String?
    var override: Override?
    var alerts = AlertBook()
    /// When the last decision was made; nil: never, or on clocks that are gone.
    var instant: Seconds?
    var reports: [QueueReport] = []
    /// When the reports were taken.
    var readAt: Seconds?
    var owner: String?
    /// The orchestrator asked not to be asked before.
    var notBefore: Seconds?
    var targetProblem: String?
    /// Why instances do not start, as the orchestrator says.
    var pending: String?
    var term = 0
    /// What was decided last was decided here, or by an earlier life of this server: others may not know it.
    var isOwn = false
    /// Something was not heard, or was decided otherwise by another leader: what is remembered here is not what the leader remembers.
    var isAstray = false
    var counts: [Decision.Outcome: Int] = [:]
    var sourceErrors = 0
    private var sinceSnapshot = 0
    private var needsSnapshot = true

    init(_ plan: PlannedPolicy, image: LedgerImage?, sameBoot: Bool, now: (steady: Seconds, wall: Seconds), place: Int) {
        // Not all policies write their snapshots in the same round.
        sinceSnapshot = place % Self.snapshotInterval
        state = PolicyState(plan.policy)
        shadow = plan.shadow.map { Shadow($0) }
        guard let image else { return }
        override = image.override
        last = image.last
        result = image.result
        term = image.term
        isOwn = true
        guard image.state.policy == plan.policy else {
            state.skip(to: image.state.seq)
            return
        }
        state = image.state
        needsSnapshot = image.shadow?.state.policy != plan.shadow
        if let known = image.shadow, known.state.policy == plan.shadow { shadow = known }
        if sameBoot, image.instant > 0, image.instant <= now.steady {
            instant = image.instant
        } else if image.time > 0 {
            // Of another life of the machine: the wall clock is all that tells how long it was.
            instant = now.steady - max(0, now.wall - image.time)
        }
    }

    /// What is to be decided from, with the ages that the readings have by now.
    func observation(
        _ reports: [QueueReport], readAt: Seconds, target: TargetObservation?, isTold: Bool, now: (steady: Seconds, wall: Seconds),
        resources: [String: Reading], parameters: [String: Reading]
    ) -> Observation {
        let age = ScalingClock.rounded(max(0, now.steady - readAt))
        var standing = override?.standing(at: now.wall)
        if let target {
            if let owner = target.owner {
                standing = .owned(owner)
            } else if let locked = target.locked {
                standing = .locked(locked)
            } else if let notBefore, now.steady < notBefore {
                standing = .locked("the orchestrator wants to be left alone for another \(Int((notBefore - now.steady).rounded(.up)))s")
            }
        }
        return Observation(
            time: now.wall, elapsed: instant.map { ScalingClock.rounded(now.steady - $0) } ?? 0,
            current: target?.count ?? (isTold ? told(reports) : nil), queues: reports.map { $0.reading.aged(by: age) },
            resources: resources, parameters: parameters, standing: standing)
    }

    /// Where nobody here sets the count: those who were told are believed to follow; members of the group are those in being.
    private func told(_ reports: [QueueReport]) -> InstanceCount {
        let members = reports.compactMap(\.members).max()
        let desired = last?.desired ?? members ?? state.policy.minimum
        let ready = members ?? desired
        return InstanceCount(desired: desired, ready: ready, starting: max(0, desired - ready))
    }

    /// Decides, and returns what is to be written. `term`: the leader's.
    mutating func decide(_ observation: Observation, at instant: Seconds, term: Int) -> (decision: Decision, entries: [LedgerEntry]) {
        var entries: [LedgerEntry] = []
        // The policy stands in the snapshot: what is decided by another one is made again from another snapshot.
        if needsSnapshot || sinceSnapshot >= Self.snapshotInterval {
            entries.append(
                .snapshot(LedgerSnapshot(policy: state.policy.name, term: term, time: observation.time, state: state, shadow: shadow)))
            sinceSnapshot = 0
            needsSnapshot = false
        }
        let decision = state.decide(observation)
        lastShadow = shadow?.decide(observation, live: decision)
        last = decision
        result = nil
        self.instant = instant
        self.term = term
        sinceSnapshot += 1
        counts[decision.outcome, default: 0] += 1
        entries.append(
            .decision(LedgerRecord(policy: state.policy.name, seq: decision.seq, term: term, instant: instant, observation: observation)))
        if let override, override.until <= observation.time {
            self.override = nil
            entries.append(.override(policy: state.policy.name, nil))
        }
        return (decision, entries)
    }
}

extension QueueReading {
    /// The same, so much later.
    func aged(by age: Seconds) -> QueueReading {
        guard age > 0 else { return self }
        func older(_ reading: Reading) -> Reading { Reading(reading.value, age: ScalingClock.rounded(reading.age + age)) }
        return QueueReading(
            backlog: older(backlog), published: older(published), acknowledged: older(acknowledged), oldest: older(oldest),
            partitions: older(partitions))
    }
}

/// A policy's slot behind its lock.
final class SlotLock: Sendable {
    private let slot: Locked<PolicySlot>
    init(_ slot: PolicySlot) { self.slot = Locked(slot) }

    func withLock<R: Sendable>(_ body: (inout PolicySlot) -> R) -> R { slot.withLock { body(&$0) } }

    /// Takes the policy in hand; false where somebody has it, who then looks once more if asked to.
    func take(orAgain: Bool = false) -> Bool {
        withLock { slot in
            if slot.phase == .idle {
                slot.phase = .busy(again: false)
                return true
            }
            if orAgain { slot.phase = .busy(again: true) }
            return false
        }
    }

    /// Gives it back; true when it has to be looked at once more.
    func giveBack() -> Bool {
        withLock { slot in
            defer { slot.phase = .idle }
            return slot.phase == .busy(again: true)
        }
    }
}
