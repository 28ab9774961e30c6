package import Autoscaler

/// What an operator wants for a while, above all conditions; ends by itself.
package struct Override: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The count stays as it is.
        case hold
        case set(Int)
    }
    package var kind: Kind
    /// The wall clock at which it ends.
    package var until: Seconds

    package init(_ kind: Kind, until: Seconds) {
        self.kind = kind
        self.until = until
    }

    /// An operator who wants so many; the count is brought within what the policy allows.
    package static func set(_ count: Int, within policy: ScalingPolicy, until: Seconds) -> Override {
        Override(.set(min(max(count, policy.minimum), policy.maximum)), until: until)
    }

    /// How a decision at `time` sees it; nil when it is over.
    package func standing(at time: Seconds) -> Standing? {
        guard time < until else { return nil }
        switch kind {
        case .hold: return .held(until: until)
        case .set(let count): return .set(count, until: until)
        }
    }

    package var name: String { kind == .hold ? "hold" : "set" }
    package var count: Int? { if case .set(let count) = kind { count } else { nil } }
}
