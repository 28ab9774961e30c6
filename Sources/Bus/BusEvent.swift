package import JSON
import Telemetry
import Streams

/// One event of the bus: what all have in common, and its kind. Bodies are those of Spring Cloud Bus.
package struct BusEvent: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// Configuration has changed: read it again.
        case refresh
        /// These properties are set until the instance ends.
        case environmentChange([EnvironmentValue])
        /// An instance has taken an event over.
        case acknowledgement(Acknowledgement)
        /// Ends a Spring application. Read, shown and passed on, never acted on.
        case shutdown
        /// An event type of an application, or one that nobody here knows; the members besides the common ones.
        case custom(type: String, members: [JSONMember])
        /// A message without a usable type.
        case untyped
    }

    package var kind: Kind
    /// Milliseconds since 1970.
    package var timestamp: Int64
    /// Bus id of the sender.
    package var origin: String
    /// A pattern over bus ids; nil or blank: everybody.
    package var destination: String?
    package var id: String
    /// The body as it was received, so that an event can be shown and passed on byte for byte; nil for events of our own.
    package var received: [UInt8]?

    package init(
        _ kind: Kind, origin: String, destination: String?, id: String = Identifier.random(),
        timestamp: Int64 = Timestamp.now.milliseconds, received: [UInt8]? = nil
    ) {
        self.kind = kind
        self.origin = origin
        self.destination = destination
        self.id = id
        self.timestamp = timestamp
        self.received = received
    }

    /// The simple class name that stands for the kind on the wire; nil for `untyped`.
    package var type: String? {
        switch kind {
        case .refresh: Self.refreshType
        case .environmentChange: Self.environmentChangeType
        case .acknowledgement: Self.acknowledgementType
        case .shutdown: Self.shutdownType
        case .custom(let type, _): type
        case .untyped: nil
        }
    }

    package var acknowledgement: Acknowledgement? { if case .acknowledgement(let one) = kind { one } else { nil } }

    package static let refreshType = "RefreshRemoteApplicationEvent"
    package static let environmentChangeType = "EnvironmentChangeRemoteApplicationEvent"
    package static let acknowledgementType = "AckRemoteApplicationEvent"
    package static let shutdownType = "ShutdownRemoteApplicationEvent"
    /// What a peer puts in place of a destination that is absent: matches nobody.
    package static let absentDestination = "____transient_destination___:**"
    /// Package of Spring's own event classes, which acknowledgements name in full.
    package static let springPackage = "org.springframework.cloud.bus.event."
}

/// One property that an environment change sets.
package struct EnvironmentValue: Sendable, Hashable {
    package var name: String
    package var value: String
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// What an acknowledgement says.
package struct Acknowledgement: Sendable, Hashable {
    /// Id of the event that is acknowledged.
    package var id: String?
    /// The destination of that event.
    package var destination: String?
    /// Its class, in full.
    package var eventClass: String?
    package init(id: String?, destination: String?, eventClass: String?) {
        self.id = id
        self.destination = destination
        self.eventClass = eventClass
    }
}
