/// Workers that an orchestrator runs, and that one policy sets the count of.
///
/// Only absolute counts are ever asked for, so that asking twice does nothing twice. Nothing is believed of a write but what the next
/// observation shows.
package protocol ScalingTarget: Sendable {
    /// For people: `local`, `kubernetes apps/v1/deployments/orders`.
    var name: String { get }

    /// What the orchestrator says now. Throws where it does not answer or does not let itself be asked: the count is then held.
    /// Cancellation ends the question.
    func observe() async throws(TargetError) -> TargetObservation

    /// Asks for `order.count` instances, once: the caller looks again before it asks again. Returns when the orchestrator has taken or refused it.
    func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult

    /// Calls `changed` whenever something may have changed, until cancelled; a hint to look again, never a fact. Returns at once where the
    /// orchestrator gives none.
    func watch(_ changed: @escaping @Sendable () -> Void) async
}

extension ScalingTarget {
    package func watch(_ changed: @escaping @Sendable () -> Void) async {}
}

/// What an orchestrator says of a target.
package struct TargetObservation: Sendable, Hashable {
    package var count: InstanceCount
    /// Names the state that was seen; a write that shows it is refused where somebody else wrote since. Nil where the orchestrator has none.
    package var fence: String?
    /// Who else decides this count, for people: `HorizontalPodAutoscaler shop/orders`. Such a target is not written.
    package var owner: String?
    /// Why no count is taken just now, for people: a deployment that is under way. Not written while it says so.
    package var locked: String?
    /// Why instances that were ordered do not start, where it tells.
    package var pending: String?

    package init(_ count: InstanceCount, fence: String? = nil, owner: String? = nil, locked: String? = nil, pending: String? = nil) {
        self.count = count
        self.fence = fence
        self.owner = owner
        self.locked = locked
        self.pending = pending
    }
}

/// One decided count on its way to an orchestrator.
package struct ScaleOrder: Sendable, Hashable {
    package var policy: String
    /// The decision's number.
    package var seq: Int
    /// The leader's term: an order of an earlier one is refused.
    package var term: Int
    package var count: Int
    /// That of the observation which the decision was made from.
    package var fence: String?
    /// For the orchestrator's own history.
    package var because: String

    package init(policy: String, seq: Int, term: Int, count: Int, fence: String?, because: String) {
        self.policy = policy
        self.seq = seq
        self.term = term
        self.count = count
        self.fence = fence
        self.because = because
    }

    /// The same for the same decision, whoever carries it out and however often.
    package var id: String { "\(policy)/\(term)/\(seq)" }
}

/// What became of an order.
package enum ScaleResult: Sendable, Hashable {
    /// `reference`: what the orchestrator calls the change, where it has a name for it.
    case applied(reference: String?)
    case unchanged
    /// Somebody else wrote since the observation: look again.
    case conflict(String)
    /// A change is under way that cannot be overtaken.
    case locked(String)
    /// Not before so many seconds, where it says so.
    case throttled(after: Seconds?)
}

/// Why an orchestrator could not be asked or did not do what it was asked.
package struct TargetError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, Hashable {
        /// No answer, or one that says "later".
        case unavailable
        case unauthorized
        /// No such target.
        case notFound
        /// It will not take this, now or later.
        case rejected
    }
    package var kind: Kind
    /// Names the target, what it said, and the remedy.
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { message }
}
