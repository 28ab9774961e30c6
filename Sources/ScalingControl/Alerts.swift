package import Autoscaler

/// What somebody should look at: told when it begins, when another reason is added, and when it is over. A value.
///
/// A broker that is away is now refused and now not answered: reasons that take turns are told once each until it is over, and no more of them
/// than are read.
package struct AlertBook: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Partitions that have a backlog and members, and do not move.
        case stuck
        /// A source says nothing.
        case source
        /// The promise cannot be kept.
        case infeasible
        /// The orchestrator does not answer or refuses.
        case target
    }

    package struct Alert: Sendable, Hashable {
        package var kind: Kind
        /// Nil: it is over.
        package var text: String?
        package init(_ kind: Kind, _ text: String?) {
            self.kind = kind
            self.text = text
        }
    }

    package private(set) var open: [Kind: String] = [:]
    private var told: [Kind: Set<String>] = [:]
    private static let mostReasons = 5

    package init() {}

    /// Takes over what is the matter now, by kind, and returns what is to be told.
    package mutating func update(_ now: [Kind: String]) -> [Alert] {
        guard now != open else { return [] }
        var news: [Alert] = []
        for kind in Kind.allCases where now[kind] != open[kind] {
            guard let text = now[kind] else {
                told[kind] = nil
                news.append(Alert(kind, nil))
                continue
            }
            var reasons = told[kind] ?? []
            guard reasons.count < Self.mostReasons, reasons.insert(text).inserted else { continue }
            told[kind] = reasons
            news.append(Alert(kind, text))
        }
        open = now
        return news
    }

    /// What is the matter with a policy, from its decision and what its queues were said to be.
    package static func matters(_ decision: Decision, _ policy: ScalingPolicy, reports: [QueueReport], target: String?) -> [Kind: String] {
        var matters: [Kind: String] = [:]
        let stuck = reports.flatMap(\.stuck)
        if !stuck.isEmpty { matters[.stuck] = "does not move although it has members and a backlog: \(stuck.joined(separator: ", "))" }
        let broken = reports.compactMap(\.problem)
        if !broken.isEmpty { matters[.source] = broken.joined(separator: "; ") }
        matters[.target] = target
        matters[.infeasible] = infeasible(decision, policy)
        return matters
    }

    private static func infeasible(_ decision: Decision, _ policy: ScalingPolicy) -> String? {
        if decision.clamps.contains(where: { $0.name == "max" }), decision.desired == policy.maximum, decision.standing == nil {
            return "more than the \(policy.maximum) instances that the policy allows would be needed to keep its promise"
        }
        guard let promise = policy.promise, let start = decision.input("start")?.value, start + policy.poll > promise,
            let backlog = decision.input("backlog")?.value, backlog > 0
        else { return nil }
        // Without the learned number, which moves with every start: one text as long as it is so.
        return "instances take longer to start than a message may wait: what a burst brings before they are ready is late"
    }
}
