import FoundationEssentials

/// A payload that cannot be read as what a function takes, or a result that cannot be written. Names types and places, never the payload.
public struct ConversionFailure: NonRetryable, CustomStringConvertible {
    public let description: String
}

/// Payloads as values: bytes and texts as they are, everything else as JSON.
enum PayloadConversion {
    static func decode<Value: Decodable>(_ type: Value.Type, from envelope: Envelope) throws(ConversionFailure) -> Value {
        let given = envelope.headers["contentType"]?.text ?? envelope.contentType ?? MediaType.json
        guard let media = MediaType(given) else {
            throw ConversionFailure(description: "the content type `\(given.prefix(80))` is none")
        }
        // Asked by type: an empty array of bytes would pass for an empty array of anything.
        if type == [UInt8].self, let bytes = envelope.payload as? Value { return bytes }
        if type == Data.self, let data = Data(envelope.payload) as? Value { return data }
        if type == String.self {
            guard media.isText else {
                throw ConversionFailure(description: "the content type \(media.essence) is no text, and the function takes text")
            }
            guard let text = String(validating: envelope.payload, as: UTF8.self), let value = text as? Value else {
                throw ConversionFailure(description: "the payload is no UTF-8, and the function takes text")
            }
            return value
        }
        guard media.isJSON else {
            throw ConversionFailure(description: "the content type \(media.essence) is not JSON, and the function takes \(type)")
        }
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            return try decoder.decode(type, from: Data(envelope.payload))
        } catch let error as DecodingError {
            throw ConversionFailure(description: "the payload is no \(type): \(explain(error))")
        } catch {
            throw ConversionFailure(description: "the payload is no \(type): \(Swift.type(of: error))")
        }
    }

    /// The payload and the media type that goes with the value's kind.
    static func encode<Value: Encodable>(_ value: Value) throws(ConversionFailure) -> (payload: [UInt8], contentType: String) {
        if Value.self == [UInt8].self, let bytes = value as? [UInt8] { return (bytes, "application/octet-stream") }
        if Value.self == Data.self, let data = value as? Data { return ([UInt8](data), "application/octet-stream") }
        if Value.self == String.self, let text = value as? String { return (Array(text.utf8), "text/plain") }
        do {
            let encoder = JSONEncoder()
            encoder.dateEncodingStrategy = .iso8601
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return ([UInt8](try encoder.encode(value)), MediaType.json)
        } catch {
            throw ConversionFailure(description: "a result of type \(Value.self) cannot be written as JSON")
        }
    }

    /// Descriptions of Foundation may quote the payload: only paths and types are told.
    private static func explain(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context): "\(place(context.codingPath)) is no \(type)"
        case .valueNotFound(let type, let context): "\(place(context.codingPath)) has no value, a \(type) is needed"
        case .keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
        case .dataCorrupted(let context): context.codingPath.isEmpty ? "it is no JSON" : "\(place(context.codingPath)) cannot be read"
        @unknown default: "it cannot be read"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "the whole" }
        var text = ""
        for key in path {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += (text.isEmpty ? "" : ".") + key.stringValue.prefix(80)
            }
        }
        return "`\(text.prefix(400))`"
    }
}

/// The type of a `Content-Type`, without its parameters.
struct MediaType: Hashable {
    static let json = "application/json"
    /// `type/subtype` in lower case.
    let essence: String

    /// Nil for what has not the form of a media type. An empty text is JSON, as for Spring's readers.
    init?(_ text: String) {
        let text = text.prefix { $0 != ";" }.lowercased().split(separator: " ").joined(separator: " ")
        guard !text.isEmpty else {
            essence = Self.json
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isToken) }) else { return nil }
        essence = text
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    var isJSON: Bool { essence == Self.json || essence.hasSuffix("+json") || essence == "text/json" }
    var isText: Bool { isJSON || essence.hasPrefix("text/") || essence == "application/xml" || essence.hasSuffix("+xml") }
}
