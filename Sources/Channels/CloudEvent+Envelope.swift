package import Streams
internal import HTTP
internal import Telemetry

/// Where the attributes of a CloudEvent are in an envelope: the one place that knows.
///
/// | attribute | envelope |
/// |---|---|
/// | `id` | `id` |
/// | `datacontenttype` | `contentType` |
/// | `partitionkey` | `key` |
/// | `time` | header `ce-time`, and `timestamp` |
/// | `traceparent`, `tracestate` | headers of that name |
/// | all others | headers `ce-…` |
extension CloudEvent {
    private static let traces: Set<String> = ["traceparent", "tracestate"]
    /// Attributes that an envelope says by itself.
    private static let own: Set<String> = ["id", "datacontenttype", "partitionkey", "specversion", "data", "database64"]
    /// How attributes are prefixed by the bindings of HTTP, Kafka and AMQP.
    private static let prefixes = ["ce-", "ce_", "cloudevents:", "cloudevents_"]

    package var envelope: Envelope {
        var headers: [String: HeaderValue] = ["ce-specversion": .string(Self.version)]
        for (name, value) in attributes where !Self.own.contains(name) {
            let header: HeaderValue =
                switch value {
                case .string(let text): .string(text)
                case .boolean(let flag): .boolean(flag)
                case .integer(let number): .integer(Int64(number))
                }
            headers[Self.traces.contains(name) ? name : "ce-" + name] = header
        }
        return Envelope(
            id: self["id"] ?? Identifier.random(), payload: data ?? [], contentType: self["datacontenttype"], headers: headers,
            key: self["partitionkey"], timestamp: self["time"].flatMap(TimeText.read))
    }

    /// Any envelope as a CloudEvent. What did not come as one gets `/channels/DESTINATION` as its source and `carillon.event` as its type; its
    /// headers become extensions under their names without what is neither a letter nor a digit.
    package init(_ envelope: Envelope, from destination: Destination) {
        var attributes: [String: Value] = [:]
        func add(_ name: String, _ value: HeaderValue) {
            guard attributes[name] == nil, let value = Self.value(value) else { return }
            if (try? Self.check(name, value)) != nil { attributes[name] = value }
        }
        var others: [(String, HeaderValue)] = []
        for (name, value) in envelope.headers.sorted(by: { $0.key < $1.key }) {
            let lower = name.lowercased()
            if let prefix = Self.prefixes.first(where: lower.hasPrefix) {
                let attribute = String(lower.dropFirst(prefix.count))
                if !Self.own.contains(attribute) { add(attribute, value) }
            } else {
                others.append((lower, value))
            }
        }
        // By themselves, so that they never take the place of an attribute.
        for (name, value) in others {
            let attribute = String(name.unicodeScalars.filter { ("a"..."z").contains($0) || ("0"..."9").contains($0) }.map(Character.init))
            let isReserved = Self.own.contains(attribute) || ["source", "type", "subject", "time", "dataschema"].contains(attribute)
            if !attribute.isEmpty, !isReserved { add(attribute, value) }
        }
        attributes["id"] = .string(envelope.id)
        attributes["source"] = attributes["source"] ?? .string("/channels/" + PercentEncoding.encode(destination.name))
        attributes["type"] = attributes["type"] ?? .string("carillon.event")
        if let key = envelope.key { attributes["partitionkey"] = .string(key) }
        if let type = envelope.contentType { attributes["datacontenttype"] = .string(type) }
        if attributes["time"] == nil, let time = envelope.timestamp {
            attributes["time"] = .string(Timestamp(milliseconds: time).text)
        }
        self.init(unchecked: attributes, data: envelope.payload.isEmpty ? nil : envelope.payload)
    }

    private static func value(_ header: HeaderValue) -> Value? {
        switch header {
        case .string(let text): .string(text)
        case .boolean(let flag): .boolean(flag)
        case .integer(let number): Int32(exactly: number).map(Value.integer) ?? .string(String(number))
        case .double(let number): .string(String(number))
        case .timestamp(let time): .string(Timestamp(milliseconds: time).text)
        case .bytes, .array, .table, .null: nil
        }
    }
}
