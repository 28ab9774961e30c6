import Autoscaler

/// What tests of the law begin with.
enum Given {
    static func policy(
        minimum: Int = 1, maximum: Int = 100, _ conditions: [ScalingCondition] = [queue()], rate: Double = 10, start: Seconds = 45,
        poll: Seconds = 15
    ) -> ScalingPolicy {
        ScalingPolicy(
            name: "orders", minimum: minimum, maximum: maximum, conditions: conditions,
            instance: ScalingPolicy.InstanceBelief(rate: rate, start: start), poll: poll)
    }

    static func queue(wait: Seconds = 60, partitions: Int? = nil) -> ScalingCondition {
        .queue(QueueCondition(destination: "orders", objective: .wait(wait), partitions: partitions))
    }

    static func reading(_ backlog: Double?, published: Double? = nil, acknowledged: Double? = nil) -> QueueReading {
        QueueReading(backlog: Reading(backlog), published: Reading(published), acknowledged: Reading(acknowledged))
    }
}

/// A policy with an orchestrator that does what it is told, instances being ready at once or never.
struct Fleet {
    private(set) var state: PolicyState
    var count: Int
    var time: Seconds = 1_000_000
    var published = 0.0
    private(set) var decisions: [Decision] = []

    init(_ policy: ScalingPolicy, count: Int? = nil) {
        state = PolicyState(policy)
        self.count = count ?? policy.minimum
    }

    var current: InstanceCount { InstanceCount(desired: count, ready: count, starting: 0) }

    /// One poll in which `arrivals` a second came and `backlog` waits; nil: no answer.
    @discardableResult
    mutating func poll(
        backlog: Double?, arrivals: Double = 0, resources: [String: Reading] = [:], parameters: [String: Reading] = [:]
    ) -> Decision {
        let elapsed = decisions.isEmpty ? 0 : state.policy.poll
        time += elapsed
        published += arrivals * elapsed
        return decide(
            Observation(
                time: time, elapsed: elapsed, current: current,
                queues: state.policy.queues.isEmpty ? [] : [Given.reading(backlog, published: backlog == nil ? nil : published)],
                resources: resources, parameters: parameters))
    }

    @discardableResult
    mutating func decide(_ observation: Observation) -> Decision {
        let decision = state.decide(observation)
        decisions.append(decision)
        count = decision.desired
        return decision
    }
}

/// Numbers that are the same in every run.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
