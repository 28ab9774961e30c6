internal import Streams

/// An event in the form of CloudEvents 1.0: context attributes, and data as bytes.
package struct CloudEvent: Sendable, Hashable {
    /// An attribute's value in the types that JSON carries as they are; URIs, times and binary values are text.
    package enum Value: Sendable, Hashable {
        case string(String)
        case boolean(Bool)
        case integer(Int32)

        package var text: String {
            switch self {
            case .string(let text): text
            case .boolean(let flag): String(flag)
            case .integer(let number): String(number)
            }
        }
    }

    /// All context attributes by name, without `specversion`, which is always `1.0`.
    package private(set) var attributes: [String: Value]
    /// Nil: the event has no data.
    package var data: [UInt8]?

    package subscript(_ name: String) -> String? { attributes[name]?.text }

    static let version = "1.0"
    static let structuredType = "application/cloudevents+json"
    static let batchType = "application/cloudevents-batch+json"

    /// Throws for an attribute that is missing, unknown by its form, or cannot be what it is.
    package init(attributes: [String: Value], data: [UInt8]?) throws(CloudEventError) {
        for name in ["id", "source", "type"] where attributes[name] == nil {
            throw CloudEventError(name, "is missing; every CloudEvent has one")
        }
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) { try Self.check(name, value) }
        self.attributes = attributes
        self.data = data
    }

    /// Of attributes that are known to be good.
    init(unchecked attributes: [String: Value], data: [UInt8]?) {
        self.attributes = attributes
        self.data = data
    }

    static func check(version: String?) throws(CloudEventError) {
        guard let version else { throw CloudEventError("specversion", "is missing; this server reads 1.0") }
        guard version == Self.version else { throw CloudEventError("specversion", "is \(version.prefix(20)); this server reads 1.0") }
    }

    static func check(_ name: String, _ value: Value) throws(CloudEventError) {
        guard !name.isEmpty, name.utf8.count <= 64, name.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) }) else {
            throw CloudEventError(name, "has a name that is not made of a-z and 0-9")
        }
        let isOwn = ["id", "source", "type", "subject", "time", "dataschema", "datacontenttype"].contains(name)
        guard case .string(let text) = value else {
            if isOwn { throw CloudEventError(name, "must be text") }
            return
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) else {
            throw CloudEventError(name, "holds a control character")
        }
        guard !isOwn || !text.isEmpty else { throw CloudEventError(name, "is empty") }
        switch name {
        case "id" where text.utf8.count > 255: throw CloudEventError(name, "is longer than 255 bytes")
        case "source" where text.utf8.contains(32), "dataschema" where text.utf8.contains(32):
            throw CloudEventError(name, "holds a blank, which no URI does")
        case "time" where TimeText.read(text) == nil: throw CloudEventError(name, "is no time of RFC 3339, such as 2026-01-31T12:00:00Z")
        case "datacontenttype" where !text.contains("/"): throw CloudEventError(name, "is no media type, such as application/json")
        default: break
        }
    }

    /// Whether data of this media type is JSON. Without a type it is, in the JSON format.
    static func isJSON(_ type: String?) -> Bool {
        guard let type else { return true }
        let subtype = type.prefix { $0 != ";" }.split(separator: "/").last?.trimming().lowercased() ?? ""
        return subtype == "json" || subtype.hasSuffix("+json")
    }
}

/// What is wrong with a CloudEvent, by attribute.
package struct CloudEventError: Error, Sendable, Hashable, CustomStringConvertible {
    package let attribute: String
    package let what: String
    /// Which event of a batch, from 1; nil where there is one only.
    package var number: Int?

    init(_ attribute: String, _ what: String) {
        self.attribute = String(attribute.prefix(64))
        self.what = what
    }

    package var description: String {
        "the CloudEvents attribute `\(attribute)` \(number.map { "of event \($0) of the batch " } ?? "")\(what)"
    }
}
