/// How current the configuration in force is.
public enum ConfigState: Sendable, Hashable {
    /// There is none yet.
    case none
    /// A server confirmed it; milliseconds since 1970.
    case current(asOf: Int64)
    /// No server can be asked. `since` is when one confirmed it last, milliseconds since 1970; `reason` why.
    case stale(since: Int64, reason: String)
}

/// What a refresh did.
public struct ConfigUpdate: Sendable {
    public enum Outcome: String, Sendable, Hashable {
        /// Another content is in force now.
        case applied
        /// The merged content is the one that was in force.
        case unchanged
    }
    public let outcome: Outcome
    /// What is in force now.
    public let snapshot: ConfigSnapshot
    /// Keys that changed, sorted.
    public let keys: [String]
}
