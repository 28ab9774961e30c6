/// All policies of one process: each decides once in a round, whatever becomes of the others.
package struct PolicyRound: Sendable {
    package private(set) var states: [PolicyState]
    private var first = 0

    package init(_ policies: [ScalingPolicy]) { states = policies.map { PolicyState($0) } }

    /// One decision for each policy, in an order that begins with another one each time: none is always the last to be served.
    /// `observe`: what is known for a policy.
    package mutating func decide(_ observe: (ScalingPolicy) -> Observation) -> [Decision] {
        guard !states.isEmpty else { return [] }
        defer { first = (first + 1) % states.count }
        return states.indices.map { offset in
            let index = (first + offset) % states.count
            return states[index].decide(observe(states[index].policy))
        }
    }
}
