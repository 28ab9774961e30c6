/// What KEDA is told of one policy.
package struct ScalerState: Sendable, Hashable {
    /// How many instances there are to be; while the backlog is unknown, the count that is held.
    package var desired: Int
    /// Whether a source of it was read since the start. Before that no count can be told, so that KEDA's own fallback acts.
    package var isKnown: Bool
    /// The name of the metric that carries the count.
    package var metric: String

    /// Whether there is to be any instance at all.
    package var isActive: Bool { desired > 0 }

    package init(desired: Int, isKnown: Bool, metric: String = "desired-instances") {
        self.desired = desired
        self.isKnown = isKnown
        self.metric = metric
    }
}

/// Whoever knows the policies. Asked for every call of KEDA: an answer comes from memory.
package protocol ScalerView: Sendable {
    /// The names of all policies.
    var policies: [String] { get async }

    /// Nil where there is no such policy.
    func state(of policy: String) async -> ScalerState?

    /// The state now, and each one after a change, until the policy is gone or the reader leaves; nil where there is no such policy. A reader that
    /// is slow may miss the older of several changes, never the last one.
    func states(of policy: String) async -> AsyncStream<ScalerState>?
}
