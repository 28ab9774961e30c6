/// What was decided, from what, and why: enough to decide it again.
package struct Decision: Sendable, Hashable {
    /// Rises by one with every decision of a policy.
    package var seq: Int
    /// The observation's wall clock.
    package var time: Seconds
    package var elapsed: Seconds
    package var policy: String
    /// Nil when the orchestrator did not answer.
    package var current: InstanceCount?
    /// What stood above all conditions.
    package var standing: Standing?
    package var desired: Int
    package var outcome: Outcome
    package var inputs: [Input]
    package var conditions: [ConditionOutcome]
    /// The condition that the count is due to.
    package var won: String
    package var clamps: [Clamp]
    /// One sentence for people.
    package var because: String
    /// What would have made it one more, and one less.
    package var unless: Unless

    package enum Outcome: String, Sendable, Hashable, CaseIterable { case up, down, same, hold }

    /// A number that the decision used; nil: unknown.
    package struct Input: Sendable, Hashable {
        package var name: String
        package var value: Double?
        package var age: Seconds
        /// For what was learned: from 0, only believed, to 1.
        package var confidence: Double?

        package init(_ name: String, _ value: Double?, age: Seconds = 0, confidence: Double? = nil) {
            self.name = name
            self.value = value
            self.age = age
            self.confidence = confidence
        }
    }

    /// Something that changed the count after the conditions had asked for it.
    package struct Clamp: Sendable, Hashable {
        package var name: String
        package var from: Int
        package var to: Int
        package init(_ name: String, from: Int, to: Int) {
            self.name = name
            self.from = from
            self.to = to
        }
    }

    package struct Unless: Sendable, Hashable {
        package var up: String
        package var down: String
        package init(up: String, down: String) {
            self.up = up
            self.down = down
        }
    }

    package init(
        seq: Int, time: Seconds, elapsed: Seconds, policy: String, current: InstanceCount?, desired: Int, outcome: Outcome,
        inputs: [Input], conditions: [ConditionOutcome], won: String, clamps: [Clamp], because: String, unless: Unless,
        standing: Standing? = nil
    ) {
        self.seq = seq
        self.time = time
        self.elapsed = elapsed
        self.policy = policy
        self.current = current
        self.desired = desired
        self.outcome = outcome
        self.inputs = inputs
        self.conditions = conditions
        self.won = won
        self.clamps = clamps
        self.because = because
        self.unless = unless
        self.standing = standing
    }

    package func input(_ name: String) -> Input? { inputs.first { $0.name == name } }
}

/// What one condition asks for.
package struct ConditionOutcome: Sendable, Hashable {
    package var kind: String
    /// Never fewer.
    package var floor: Int?
    /// So many.
    package var desired: Int?
    /// Never more.
    package var ceiling: Int?
    package var reason: String
    /// The wall clock at which it asks for something else by itself.
    package var expires: Seconds?
    /// It cannot be told: the count is held.
    package var isUnknown: Bool

    package init(
        kind: String, floor: Int? = nil, desired: Int? = nil, ceiling: Int? = nil, reason: String, expires: Seconds? = nil,
        isUnknown: Bool = false
    ) {
        self.kind = kind
        self.floor = floor
        self.desired = desired
        self.ceiling = ceiling
        self.reason = reason
        self.expires = expires
        self.isUnknown = isUnknown
    }

    var asked: Int { max(floor ?? 0, desired ?? 0) }
}
