import JSON

extension BusEvent {
    /// The body as Spring Cloud Bus 1.x to 4.x writes it: the same members in the same order. A received event keeps the bytes that it came in.
    package var encoded: [UInt8] {
        if let received { return received }
        var text = "{"
        func append(_ name: String, _ value: JSONValue) {
            if text.utf8.count > 1 { text += "," }
            JSONValue.append(name, to: &text)
            text += ":"
            value.append(to: &text)
        }
        if let type { append("type", .string(type)) }
        append("timestamp", .number(String(timestamp)))
        append("originService", .string(origin))
        append("destinationService", destination.map(JSONValue.string) ?? .null)
        append("id", .string(id))
        switch kind {
        case .refresh, .shutdown, .untyped: break
        case .environmentChange(let values):
            append("values", .object(values.map { JSONMember($0.name, .string($0.value)) }))
        case .acknowledgement(let acknowledgement):
            append("ackId", acknowledgement.id.map(JSONValue.string) ?? .null)
            append("ackDestinationService", acknowledgement.destination.map(JSONValue.string) ?? .null)
            // Spring refuses a null here and accepts that the member is absent.
            if let eventClass = acknowledgement.eventClass { append("event", .string(eventClass)) }
        case .custom(_, let members):
            for member in members { append(member.name, member.value) }
        }
        return Array((text + "}").utf8)
    }
}
