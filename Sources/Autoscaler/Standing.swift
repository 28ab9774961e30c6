/// What stands above all conditions of a policy at one decision.
package enum Standing: Sendable, Hashable, Codable {
    /// Somebody else decides this count, for people: `HorizontalPodAutoscaler shop/orders`.
    case owned(String)
    /// The orchestrator takes no count just now, for people.
    case locked(String)
    /// An operator wants the count to stay as it is, until that moment of the wall clock.
    case held(until: Seconds)
    /// An operator wants so many, until that moment of the wall clock.
    case set(Int, until: Seconds)

    /// Whether the count is left as it is.
    var keeps: Bool {
        switch self {
        case .owned, .locked, .held: true
        case .set: false
        }
    }

    /// Whether nothing can be ordered.
    package var forbids: Bool {
        switch self {
        case .owned, .locked: true
        case .held, .set: false
        }
    }

    /// As decisions name it.
    package var kind: String {
        switch self {
        case .owned: "owner"
        case .locked: "locked"
        case .held: "hold"
        case .set: "set"
        }
    }

    func reason(at time: Seconds) -> String {
        switch self {
        case .owned(let owner): "\(owner) decides this count; two that decide would fight"
        case .locked(let what): "no count is taken: \(what)"
        case .held(let until): "an operator holds it for another \(Phrase.duration(max(0, until - time)))"
        case .set(let count, let until): "an operator wants \(count) for another \(Phrase.duration(max(0, until - time)))"
        }
    }

    /// What has to happen for the conditions to count again.
    var end: String {
        switch self {
        case .owned(let owner): "an end of \(owner)"
        case .locked: "an end of what is under way"
        case .held, .set: "an end of what the operator wants"
        }
    }
}
