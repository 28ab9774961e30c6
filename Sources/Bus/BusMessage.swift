package import Streams

/// An event with the headers that it travels with.
package struct BusMessage: Sendable, Hashable {
    package var event: BusEvent
    package var headers: [String: HeaderValue]

    package init(event: BusEvent, headers: [String: HeaderValue] = [:]) {
        self.event = event
        self.headers = headers
    }

    /// What a refresh tells besides its body; empty where the sender is no Carillon.
    package var details: RefreshDetails { RefreshDetails(headers: headers) }

    /// What an acknowledgement tells besides its body; nil where the sender is no Carillon.
    package var receipt: Receipt? { event.acknowledgement == nil ? nil : Receipt(headers: headers, origin: event.origin) }

    /// Content type `application/json`: receivers of Spring refuse any other. The time is in whole seconds, as AMQP's own property has it; the
    /// body holds the exact one.
    package var envelope: Envelope {
        Envelope(
            id: event.id, payload: event.encoded, contentType: "application/json", headers: headers,
            timestamp: event.timestamp / 1000 * 1000)
    }

    /// Throws for what no peer would take for an event. Without a content type it is JSON.
    init(_ envelope: Envelope) throws(BusDecodingError) {
        if let type = envelope.contentType, !type.isEmpty {
            let media = type.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
            guard media == "application/json" else { throw BusDecodingError("the content type is not application/json") }
        }
        self.init(event: try BusEvent(decoding: envelope.payload), headers: envelope.headers)
    }
}

/// What happens on a bus, for those who only watch.
package enum BusObservation: Sendable {
    /// Sent by this process, and confirmed by the broker. Acknowledgements and reports of this process are among them.
    case sent(BusMessage)
    /// Received: an event of somebody else, and what becomes of it here.
    case received(BusMessage, BusFlow.Reception)
    /// Received, and no event.
    case refused(BusDecodingError)
    /// The subscription is established, for the first time or again.
    case ready
    /// Events may have been missed.
    case gap
}
