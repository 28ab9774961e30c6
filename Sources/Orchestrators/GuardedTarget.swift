package import Autoscaler

/// What stands between a policy's orders and its orchestrator, whichever it is.
///
/// - Only orders of the present term pass, and of those only such that are newer than all before: an order that was overtaken on its way, or that a
///   leader gives who is none any more, changes nothing. The same order once more has the same effect.
/// - One order is under way at a time; one that waits meanwhile and is overtaken is not carried out.
/// - Counts are clamped to the policy's own minimum and maximum, whatever they say.
/// - A target that somebody else owns, or that is locked, is not written.
/// - After a conflict it looks again and repeats the order only if the count is the one that the decision was made from; a count that somebody else
///   has set is left alone.
package actor GuardedTarget: ScalingTarget {
    /// How often one order is tried against somebody who keeps writing the same count.
    private static let attempts = 3

    nonisolated package let name: String
    nonisolated package let range: ClosedRange<Int>
    private let target: any ScalingTarget
    private var term: Int
    /// The newest order that was ever given, in the present term.
    private(set) var newest: Int?
    /// The order that was carried out last.
    private var done: String?
    private var seen: TargetObservation?
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// `term`: the leader's; orders of an earlier one are refused from the start.
    package init(_ target: any ScalingTarget, minimum: Int, maximum: Int, term: Int = 0) {
        self.target = target
        name = target.name
        let lowest = max(0, minimum)
        range = lowest...max(lowest, maximum)
        self.term = term
    }

    /// Another leader's term has begun: nothing of an earlier one passes any more, whatever is on its way.
    package func begin(term: Int) {
        guard term > self.term else { return }
        self.term = term
        newest = nil
    }

    package func observe() async throws(TargetError) -> TargetObservation {
        let observation = try await target.observe()
        seen = observation
        return observation
    }

    nonisolated package func watch(_ changed: @escaping @Sendable () -> Void) async { await target.watch(changed) }

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        try admit(order)
        await turn()
        defer { pass() }
        // Others may have come while it waited.
        try admit(order)
        if done == order.id { return .unchanged }
        let observation: TargetObservation
        if let seen { observation = seen } else { observation = try await observe() }
        let result = try await carryOut(order, from: observation)
        switch result {
        case .applied, .unchanged: done = order.id
        case .conflict, .locked, .throttled: break
        }
        // What was seen is what was before: nobody writes twice from it.
        seen = nil
        return result
    }

    /// Refuses what is old.
    private func admit(_ order: ScaleOrder) throws(TargetError) {
        begin(term: order.term)
        guard order.term == term else {
            throw TargetError(.rejected, "\(name): order \(order.id) is refused, for term \(term) has begun: its leader leads no more")
        }
        guard order.seq >= newest ?? order.seq else {
            throw TargetError(.rejected, "\(name): order \(order.id) is refused, for a newer one, \(newest ?? 0), was given")
        }
        newest = order.seq
    }

    private func carryOut(_ order: ScaleOrder, from first: TargetObservation) async throws(TargetError) -> ScaleResult {
        var order = order
        order.count = min(max(order.count, range.lowerBound), range.upperBound)
        var observation = first
        for attempt in 1...Self.attempts {
            if let owner = observation.owner {
                throw TargetError(.rejected, "\(name) is not written: \(owner) decides its count; remove that, or this policy's target")
            }
            if let locked = observation.locked { return .locked(locked) }
            let result = try await target.scale(order)
            guard case .conflict(let reason) = result, attempt < Self.attempts else { return result }
            observation = try await observe()
            guard observation.count.desired == first.count.desired else {
                return .conflict(
                    "\(reason); the count is \(observation.count.desired) now, set by somebody else, and is left so for this time")
            }
            try admit(order)
            order.fence = observation.fence
        }
        return .conflict("somebody else keeps writing")
    }

    private func turn() async {
        guard isBusy else {
            isBusy = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    /// The turn is handed to the next one, never given up between.
    private func pass() {
        if waiting.isEmpty { isBusy = false } else { waiting.removeFirst().resume() }
    }
}
