package import Streams

/// How a binder of a URI differs from the usual one, for whoever tries a broker out.
package struct BinderTuning: Sendable {
    package typealias Address = BrokerURI.Address

    /// Where to connect instead of an address of the broker; names are still checked against certificates where the binder can tell them apart.
    package var route: (@Sendable (Address) throws -> Address)?
    /// Short time limits: a silent broker is noticed within seconds, and so is one that is there again.
    package var isImpatient = false
    /// Instead of the one in the URI, or the token.
    package var password: String?
    /// Whether a publisher wants to be told when nobody is subscribed.
    package var isMandatory = false
    /// Destinations of several partitions.
    package var partitions: [String: Int] = [:]
    /// How many partitions a destination has that is made and not named above, where every destination has some.
    package var defaultPartitions: Int?
    /// Set in front of every name on the broker.
    package var prefix: String?
    /// A larger payload is refused.
    package var largestPayload: Int?
    /// How many events that are not done a group of the embedded broker may have.
    package var backlog: Int?

    package init() {}
}
