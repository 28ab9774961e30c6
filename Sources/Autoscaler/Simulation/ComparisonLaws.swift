/// A scaling law that the shipped one is compared with, as its own documentation has it set up for queues.
package protocol ScalingLaw {
    static var name: String { get }
    init(_ policy: ScalingPolicy)
    /// How many instances there should be. What is unknown holds.
    mutating func decide(_ observation: Observation) -> Int
}

/// The shipped law.
package struct DrainLaw: ScalingLaw {
    package static let name = "drain"
    private var state: PolicyState

    package init(_ policy: ScalingPolicy) { state = PolicyState(policy) }

    package mutating func decide(_ observation: Observation) -> Int { state.decide(observation).desired }
}

/// KEDA with one queue trigger, AverageValue, on the HPA that it makes; half of what an instance does within the promise as the target, and its
/// own step from none and to none.
package struct KEDALaw: ScalingLaw {
    package static let name = "keda"
    private static let cooldown: Seconds = 300
    private let policy: ScalingPolicy
    private let target: Double
    private var autoscaler: HPABehavior
    private var clock: Seconds = 0
    private var lastActive: Seconds = 0

    package init(_ policy: ScalingPolicy) {
        self.policy = policy
        target = policy.instance.rate * (policy.promise ?? 60) / 2
        autoscaler = HPABehavior(policy)
    }

    package mutating func decide(_ observation: Observation) -> Int {
        clock += observation.elapsed
        guard let current = observation.current, let backlog = observation.queues.first?.backlog.value else {
            return observation.current?.desired ?? policy.minimum
        }
        if backlog > 0 { lastActive = clock }
        guard current.desired > 0 else { return backlog > 0 ? max(1, policy.minimum) : policy.minimum }
        if backlog == 0, policy.minimum == 0, clock - lastActive > Self.cooldown { return 0 }
        let ratio = backlog / (target * Double(current.desired))
        let asked = HPABehavior.isClose(ratio) ? current.desired : QueueLaw.whole(backlog / target)
        return autoscaler.apply(asked, to: current.desired, elapsed: observation.elapsed)
    }
}

/// The HPA on an external metric of type Value: the whole backlog against a fixed number.
package struct HPAValueLaw: ScalingLaw {
    package static let name = "hpa-value"
    private static let target = 1000.0
    private let policy: ScalingPolicy
    private var autoscaler: HPABehavior

    package init(_ policy: ScalingPolicy) {
        self.policy = policy
        autoscaler = HPABehavior(policy)
    }

    package mutating func decide(_ observation: Observation) -> Int {
        guard let current = observation.current, let backlog = observation.queues.first?.backlog.value else {
            return observation.current?.desired ?? policy.minimum
        }
        let ratio = backlog / Self.target
        let asked = HPABehavior.isClose(ratio) ? current.desired : QueueLaw.whole(ratio * Double(max(1, current.ready)))
        return autoscaler.apply(asked, to: current.desired, elapsed: observation.elapsed)
    }
}

/// What the HPA does with every recommendation: a tolerance, a limit to each rise, and the highest of five minutes on the way down.
struct HPABehavior: Sendable {
    private let minimum: Int
    private let maximum: Int
    private var clock: Seconds = 0
    private var window = DemandWindow()
    private static let stabilisation: Seconds = 300

    init(_ policy: ScalingPolicy) {
        // An HPA does not reach zero by itself.
        minimum = max(1, policy.minimum)
        maximum = policy.maximum
    }

    static func isClose(_ ratio: Double) -> Bool { abs(ratio - 1) <= 0.1 }

    mutating func apply(_ asked: Int, to current: Int, elapsed: Seconds) -> Int {
        clock += elapsed
        window.ask(asked, at: clock, keeping: Self.stabilisation)
        var count = asked < current ? min(window.maximum, current) : asked
        // Four instances, or twice as many, each 15 s.
        count = min(count, max(current + 4, current * 2))
        return min(max(count, minimum), maximum)
    }
}

/// Nomad's target-value on the backlog of one running instance, and a minute of rest after each change.
package struct NomadLaw: ScalingLaw {
    package static let name = "nomad"
    private static let cooldown: Seconds = 60
    private let policy: ScalingPolicy
    private let target: Double
    private var clock: Seconds = 0
    private var rest: Seconds = 0

    package init(_ policy: ScalingPolicy) {
        self.policy = policy
        target = policy.instance.rate * (policy.promise ?? 60) / 2
    }

    package mutating func decide(_ observation: Observation) -> Int {
        clock += observation.elapsed
        guard let current = observation.current else { return policy.minimum }
        guard let backlog = observation.queues.first?.backlog.value, clock >= rest else { return current.desired }
        // Those that are starting are not seen.
        let running = current.ready
        let factor = backlog / Double(max(1, running)) / target
        guard abs(factor - 1) > 0.01 else { return current.desired }
        let count = min(max(QueueLaw.whole(Double(max(1, running)) * factor), policy.minimum), policy.maximum)
        if count != current.desired { rest = clock + Self.cooldown }
        return count
    }
}

/// marathon-autoscale: half as many again above one backlog, a third fewer below another.
package struct MarathonLaw: ScalingLaw {
    package static let name = "marathon"
    private static let range = 200.0...1000.0
    private static let factor = 1.5
    private let policy: ScalingPolicy

    package init(_ policy: ScalingPolicy) { self.policy = policy }

    package mutating func decide(_ observation: Observation) -> Int {
        guard let current = observation.current, let backlog = observation.queues.first?.backlog.value else {
            return observation.current?.desired ?? policy.minimum
        }
        var count = current.desired
        if backlog > Self.range.upperBound { count = QueueLaw.whole(Double(count) * Self.factor) }
        if backlog < Self.range.lowerBound { count = Int(Double(count) / Self.factor) }
        return min(max(count, policy.minimum), policy.maximum)
    }
}
