/// How far a subscription of a binder is. A value.
package enum SubscriptionPhase: Sendable {
    /// No position yet, and why.
    case starting(String)
    case ready
    /// The position is lost for now, and why.
    case interrupted(String)
    case failed(BinderError)
    case draining
    case closed

    /// `name`: of what is read, for the reason.
    package func readiness(of name: String) -> Readiness {
        switch self {
        case .ready, .draining, .closed: .ready
        case .starting(let reason), .interrupted(let reason): .waiting("\(name): \(reason)")
        case .failed(let error): .waiting("\(name): \(error.message)")
        }
    }
}
