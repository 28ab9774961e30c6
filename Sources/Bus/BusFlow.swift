/// What becomes of an event that arrives: the rules of Spring Cloud Bus, as a value without I/O.
///
/// Where it differs from the original: a sender is told by its bus id as text, not by the id as a pattern (an origin `**` is nobody's own
/// event here); an environment change obeys its destination at the sender, too; a shutdown is never acted on; an id seen before is passed over.
package struct BusFlow: Sendable {
    package enum Reception: Sendable, Hashable {
        /// Apply it here and acknowledge it.
        case apply
        /// It carries our own bus id and did not come from this process: acknowledged as the original does, and not applied.
        case acknowledge
        /// An acknowledgement by somebody else; shown to whoever watches, whatever its destination.
        case watch
        case passOver(Reason)
    }
    package enum Reason: String, Sendable, Hashable {
        case notAddressed = "not addressed"
        case unknownType = "unknown type"
        case duplicate
        case ownAcknowledgement = "own acknowledgement"
        case shutdown
    }

    package let id: BusID
    /// Names of the configuration that this instance reads (`spring.cloud.config.name`): it can be addressed by them as well.
    package let configurationNames: [String]
    private var window: DedupeWindow
    /// Own events of which it is not known whether they arrived: when the echo comes, they are applied like those of others.
    private var uncertain = DedupeWindow(capacity: 256)

    package init(id: BusID, configurationNames: [String] = [], window: DedupeWindow = DedupeWindow()) {
        self.id = id
        self.configurationNames = configurationNames
        self.window = window
    }

    package func isFromSelf(_ event: BusEvent) -> Bool { event.origin == id.text }

    package func isForSelf(_ event: BusEvent) -> Bool {
        DestinationPattern.isFor(event.destination, id: id.text, configurationNames: configurationNames)
    }

    /// Before an event of our own is sent: its echo will be a duplicate.
    package mutating func willSend(_ event: BusEvent) { _ = window.insert(event.id) }

    /// An event of our own could not be sent, or, with `mayHaveArrived`, nobody confirmed it.
    package mutating func didNotSend(_ event: BusEvent, mayHaveArrived: Bool) {
        window.remove(event.id)
        if mayHaveArrived { _ = uncertain.insert(event.id) }
    }

    /// `knows` tells whether somebody here handles a custom type.
    package mutating func received(_ event: BusEvent, knows: (String) -> Bool) -> Reception {
        guard window.insert(event.id) else { return .passOver(.duplicate) }
        if case .acknowledgement = event.kind { return isFromSelf(event) ? .passOver(.ownAcknowledgement) : .watch }
        switch event.kind {
        case .untyped: return .passOver(.unknownType)
        case .custom(let type, _) where !knows(type): return .passOver(.unknownType)
        default: break
        }
        guard isForSelf(event) else { return .passOver(.notAddressed) }
        if event.kind == .shutdown { return .passOver(.shutdown) }
        return isFromSelf(event) && !uncertain.contains(event.id) ? .acknowledge : .apply
    }
}
