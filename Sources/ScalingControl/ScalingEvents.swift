internal import Autoscaler
internal import ConfigModel
internal import JSON
internal import ScalingFormats
package import Streams

/// What travels on the broker. Signals and results tell what was decided and done; nobody acts on them, so that nobody on the bus can start a
/// process by sending one.
package enum ScalingEvents {
    /// Signals, results, alerts, and what servers tell each other.
    package static let destination = Destination(fixed: "carillon.scaling")
    /// What instances say: reports of resources, and that they have drained. Apart from the signals, so that who listens to instances does not have
    /// to read those.
    package static let reports = Destination(fixed: "carillon.scaling.reports")

    package static let typeHeader = "carillon-event"
    package static let serverHeader = "carillon-server"

    package enum Kind: String, Sendable, Hashable {
        case signal = "autoscale.signal"
        case result = "autoscale.result"
        case alert = "autoscale.alert"
        /// Of servers among each other.
        case beat = "autoscale.leader"
        case hello = "autoscale.hello"
        case snapshot = "autoscale.snapshot"
        case override = "autoscale.override"
        /// Of instances, and to them.
        case report = "autoscale.report"
        case drain = "autoscale.drain"
        case drained = "autoscale.drained"
    }

    static func envelope(_ kind: Kind, server: String, key: String? = nil, id: String = Identifier.random(), _ payload: [UInt8]) -> Envelope
    {
        Envelope(
            id: id, payload: payload, contentType: "application/json",
            headers: [typeHeader: .string(kind.rawValue), serverHeader: .string(server)], key: key)
    }

    /// The kind by the header, else by the member `type`: instances need not know our headers.
    static func kind(of envelope: Envelope) -> Kind? {
        if let text = envelope.headers[typeHeader]?.text { return Kind(rawValue: text) }
        return (try? JSONReader.read(envelope.payload))?["type"]?.string.flatMap { Kind(rawValue: $0) }
    }

    /// A decision as an event: its own members at the top, beside what the way to its effect needs.
    static func signal(_ decision: Decision, term: Int, target: String, mode: String = "live", expires: Seconds) -> [UInt8] {
        var writer = JSONWriter(capacity: 1500)
        writer.raw("{\"type\":\"autoscale.signal\",\"id\":")
        writer.string("\(decision.policy)/\(term)/\(decision.seq)")
        writer.raw(text: ",\"term\":\(term),\"target\":")
        writer.string(target)
        writer.raw(",\"mode\":")
        writer.string(mode)
        writer.raw(",\"expiresAt\":")
        writer.string(TimeText.render(expires))
        writer.raw(",")
        DecisionJSON.members(of: decision, to: &writer)
        writer.raw("}")
        return writer.bytes
    }

    /// What became of a decision.
    static func result(_ effect: Effect, of decision: Decision, term: Int, time: Seconds) -> [UInt8] {
        var writer = JSONWriter(capacity: 300)
        writer.raw("{\"type\":\"autoscale.result\",\"signal\":")
        writer.string("\(decision.policy)/\(term)/\(decision.seq)")
        writer.raw(",\"policy\":")
        writer.string(decision.policy)
        writer.raw(text: ",\"seq\":\(decision.seq),\"term\":\(term),\"time\":")
        writer.string(TimeText.render(time))
        writer.raw(text: ",\"desired\":\(decision.desired),\"outcome\":")
        writer.string(effect.outcome)
        writer.raw(",\"reference\":")
        writer.string(effect.reference)
        writer.raw(",\"text\":")
        writer.string(effect.text)
        writer.raw("}")
        return writer.bytes
    }

    static func alert(_ alert: AlertBook.Alert, policy: String, time: Seconds) -> [UInt8] {
        object([
            ("type", .string(Kind.alert.rawValue)), ("policy", .string(policy)), ("time", .string(TimeText.render(time))),
            ("kind", .string(alert.kind.rawValue)), ("state", .string(alert.text == nil ? "over" : "open")),
            ("text", alert.text.map(JSONValue.string) ?? .null),
        ])
    }

    static func object(_ members: [(String, JSONValue)]) -> [UInt8] {
        Array(JSONValue.object(members.map { JSONMember($0.0, $0.1) }).written.utf8)
    }
}

/// What became of an order.
struct Effect: Sendable, Hashable {
    var outcome: String
    var reference: String?
    var text: String?

    init(_ outcome: String, reference: String? = nil, text: String? = nil) {
        self.outcome = outcome
        self.reference = reference
        self.text = text
    }
}
