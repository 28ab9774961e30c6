import JSON
import Streams
import Telemetry

extension BusEvent {
    /// Reads a body that any generation of Spring Cloud Bus, or an application with its own naming and date settings, may have written.
    ///
    /// Members may come in any order and in snake case, extra ones are passed over, the time may be a number, text or ISO 8601, text follows
    /// the document without harm. Refused is what every generation refuses, since an answer to it would be a guess: no JSON object, no origin,
    /// an environment change without values that are all text, an acknowledgement whose class is null.
    package init(decoding body: [UInt8]) throws(BusDecodingError) {
        // Without an id a duplicate cannot be told from a new event, so each gets its own.
        try self.init(decoding: body) { Identifier.random() }
    }

    /// As `init(decoding:)`; an event that came without an id gets the one that `unnamed` makes.
    init(decoding body: [UInt8], unnamed: () -> String) throws(BusDecodingError) {
        let document: JSONValue
        do { document = try JSONReader.read(body, ignoringRest: true) } catch { throw BusDecodingError("not a JSON document: \(error)") }
        if case .string = document {
            // An event that was encoded twice: Spring takes it for an unknown one.
            self.init(.untyped, origin: "", destination: "unknown", received: body)
            return
        }
        guard case .object(let members) = document else { throw BusDecodingError("the body is not a JSON object") }
        let fields = Fields(members)
        guard let origin = fields.scalar("originService") else { throw BusDecodingError("originService is missing or not text") }
        let destination: String?
        switch fields["destinationService"] {
        case nil: destination = Self.absentDestination
        case .null: destination = nil
        case .some(let value):
            guard let text = value.scalarText else { throw BusDecodingError("destinationService is not text") }
            destination = text
        }
        let id = fields.scalar("id").flatMap { $0.isEmpty ? nil : $0 } ?? unnamed()
        let timestamp = try Self.timestamp(fields["timestamp"])
        let kind = try Self.kind(fields)
        self.init(kind, origin: origin, destination: destination, id: id, timestamp: timestamp, received: body)
    }

    private static func kind(_ fields: Fields) throws(BusDecodingError) -> Kind {
        guard let type = fields.exact("type")?.scalarText, !type.isEmpty else { return .untyped }
        switch type {
        case refreshType: return .refresh
        case shutdownType: return .shutdown
        case environmentChangeType:
            guard case .object(let members) = fields["values"] else { throw BusDecodingError("values is missing or not an object") }
            var values: [EnvironmentValue] = []
            for member in members {
                guard let value = member.value.scalarText else { throw BusDecodingError("a value of the environment change is not text") }
                values.append(EnvironmentValue(name: member.name, value: value))
            }
            return .environmentChange(values)
        case acknowledgementType:
            let event = fields["event"]
            guard event != .null else { throw BusDecodingError("event is null") }
            return .acknowledgement(
                Acknowledgement(
                    id: fields.scalar("ackId"), destination: fields.scalar("ackDestinationService"), eventClass: event?.scalarText))
        default: return .custom(type: type, members: fields.others)
        }
    }

    private static func timestamp(_ value: JSONValue?) throws(BusDecodingError) -> Int64 {
        switch value {
        case nil: return Timestamp.now.milliseconds
        case .null: return 0
        case .some(let value):
            if let number = value.integer { return number }
            if case .string(let text) = value, let time = ISOTime.milliseconds(text) { return time }
            throw BusDecodingError("timestamp is neither a number of milliseconds nor an ISO 8601 time")
        }
    }

    /// The members of an event, found by their name in camel case whatever the sender's naming strategy made of it.
    private struct Fields {
        private let members: [JSONMember]
        init(_ members: [JSONMember]) { self.members = members }

        func exact(_ name: String) -> JSONValue? { members.first { $0.name == name }?.value }
        subscript(_ name: String) -> JSONValue? {
            if let value = exact(name) { return value }
            let folded = Self.folded(name)
            return members.first { Self.folded($0.name) == folded }?.value
        }
        func scalar(_ name: String) -> String? { self[name]?.scalarText }
        var others: [JSONMember] { members.filter { $0.name != "type" && !Self.common.contains(Self.folded($0.name)) } }

        private static let common: Set<String> = ["originservice", "destinationservice", "id", "timestamp"]
        private static func folded(_ name: String) -> String {
            String(decoding: name.utf8.filter { $0 != 95 && $0 != 45 }.map { $0 &- 65 < 26 ? $0 | 32 : $0 }, as: UTF8.self)
        }
    }
}

/// Why a message on the bus is no event; never what it holds.
package struct BusDecodingError: Error, Hashable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
