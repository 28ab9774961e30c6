/// All that a policy remembers from one decision to the next. A value: the same state and the same observation give the same decision, wherever
/// and whenever.
package struct PolicyState: Sendable, Hashable, Codable {
    package let policy: ScalingPolicy
    /// The number of the last decision.
    package internal(set) var seq: Int
    /// The monotonic time since the first observation.
    var clock: Seconds = 0
    /// What the last decision wanted.
    var ordered: Int?
    /// What the orchestrator said before it.
    var found: Int?
    var foundReady: Int?
    var lastUp: Seconds?
    var lastBusy: Seconds = 0
    var unknownSince: Seconds?
    var arrivals: [ArrivalEstimate]
    var forecasts: [Forecast]
    var rate: ServiceRate
    var start: StartTime
    var orders = OrderBook()
    var demand = DemandWindow()

    /// `seq`: the number of the last decision that was ever made for this policy.
    package init(_ policy: ScalingPolicy, seq: Int = 0) {
        self.policy = policy
        self.seq = seq
        arrivals = policy.queues.map { _ in ArrivalEstimate() }
        rate = ServiceRate(belief: policy.instance.rate)
        start = StartTime(belief: policy.instance.start)
        forecasts = policy.conditions.compactMap {
            guard case .forecast(let condition) = $0 else { return nil }
            return Forecast(condition, poll: policy.poll, deadTime: policy.instance.start + policy.poll)
        }
    }

    /// Goes on behind decisions that are not known here. Numbers only rise.
    package mutating func skip(to seq: Int) { self.seq = max(self.seq, seq) }

    /// From an order to its effect, as far as it is known.
    var deadTime: Seconds { start.value + policy.poll }
}

/// The control law: what is wanted now, and what to remember. Live control, simulation and replay call this one.
package func decide(_ state: PolicyState, _ observation: Observation) -> (PolicyState, Decision) {
    var state = state
    let decision = state.decide(observation)
    return (state, decision)
}

/// Decides again what was decided, from what each decision says it was made from.
///
/// The same policy gives the same decisions; another one tells what it would have done.
package func replay(_ recorded: [Decision], by policy: ScalingPolicy) -> [Decision] {
    var state = PolicyState(policy, seq: (recorded.first?.seq ?? 1) - 1)
    return recorded.map { state.decide(Observation(recordedIn: $0)) }
}
