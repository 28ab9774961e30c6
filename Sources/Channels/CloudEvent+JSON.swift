internal import Crypto
package import Streams

/// The JSON format: one event as `application/cloudevents+json`, several as `application/cloudevents-batch+json`.
///
/// JSON data goes through byte for byte, in and out: numbers keep their digits.
extension CloudEvent {
    package init(structured bytes: [UInt8]) throws(CloudEventError) {
        try self.init(try Self.json(bytes), raw: bytes[...])
    }

    package static func batch(_ bytes: [UInt8]) throws(CloudEventError) -> [CloudEvent] {
        guard let values = try json(bytes).array else {
            throw CloudEventError("data", "is missing: a batch must be a JSON array of events")
        }
        var events: [CloudEvent] = []
        for (number, (value, raw)) in zip(values, JSONSlices.parts(bytes[...])).enumerated() {
            do throws(CloudEventError) { events.append(try CloudEvent(value, raw: raw)) } catch {
                var error = error
                error.number = number + 1
                throw error
            }
        }
        return events
    }

    private static func json(_ bytes: [UInt8]) throws(CloudEventError) -> WireValue {
        guard JSONSlices.isPlain(bytes) else {
            throw CloudEventError("data", "cannot be read: the body must be JSON in UTF-8, without a mark")
        }
        do throws(WireValue.Malformed) { return try WireValue(bytes) } catch {
            throw CloudEventError("data", "cannot be read: the body is \(error)")
        }
    }

    private init(_ value: WireValue, raw: ArraySlice<UInt8>) throws(CloudEventError) {
        guard let members = value.members else { throw CloudEventError("id", "is missing: an event must be a JSON object") }
        try Self.check(version: value["specversion"].map { $0.string ?? "no text" })
        var attributes: [String: Value] = [:]
        for member in members where !["specversion", "data", "data_base64"].contains(member.name) {
            guard attributes[member.name] == nil else { throw CloudEventError(member.name, "is given twice") }
            switch member.value {
            case .null: continue
            case .string(let text): attributes[member.name] = .string(text)
            case .boolean(let flag): attributes[member.name] = .boolean(flag)
            case .integer(let number):
                guard let small = Int32(exactly: number) else { throw CloudEventError(member.name, "is a number of more than 32 bits") }
                attributes[member.name] = .integer(small)
            case .double, .array, .object: throw CloudEventError(member.name, "is neither text, a whole number, nor true or false")
            }
        }
        let type: String? = if case .string(let text)? = attributes["datacontenttype"] { text } else { nil }
        var data: [UInt8]?
        if let encoded = value["data_base64"] {
            guard value["data"] == nil else { throw CloudEventError("data", "and `data_base64` exclude each other") }
            guard let text = encoded.string, let bytes = Base64.decode(text) else {
                throw CloudEventError("data_base64", "is no base64")
            }
            data = bytes
        } else if let index = members.lastIndex(where: { $0.name == "data" && $0.value != .null }) {
            if Self.isJSON(type) {
                let parts = JSONSlices.parts(raw)
                guard parts.count == members.count else { throw CloudEventError("data", "cannot be told from the other members") }
                data = Array(JSONSlices.value(ofMember: parts[index]))
                if type == nil { attributes["datacontenttype"] = .string("application/json") }
            } else {
                guard let text = members[index].value.string else {
                    throw CloudEventError("data", "must be text where `datacontenttype` is \(type?.prefix(40) ?? "")")
                }
                data = Array(text.utf8)
            }
        }
        try self.init(attributes: attributes, data: data)
    }

    /// The event as a JSON object. `extra` are further extension attributes.
    package func structured(_ extra: [WireValue.Member] = []) -> [UInt8] {
        var members = [WireValue.Member("specversion", .string(Self.version))]
        let first = ["id", "source", "type", "subject", "time", "datacontenttype", "dataschema"]
        let names = first.filter { attributes[$0] != nil } + attributes.keys.filter { !first.contains($0) }.sorted()
        for name in names where !extra.contains(where: { $0.name == name }) {
            switch attributes[name] {
            case .string(let text): members.append(.init(name, .string(text)))
            case .boolean(let flag): members.append(.init(name, .boolean(flag)))
            case .integer(let number): members.append(.init(name, .integer(Int64(number))))
            case nil: break
            }
        }
        members += extra
        var bytes = WireValue.object(members).bytes
        guard let data else { return bytes }
        bytes.removeLast()
        let type = self["datacontenttype"]
        if type != nil, Self.isJSON(type), JSONSlices.isPlain(data), (try? WireValue(data)) != nil {
            bytes += Array(#","data":"#.utf8) + data
        } else if type != nil, !Self.isJSON(type), let text = String(validating: data, as: UTF8.self) {
            bytes += Array(#","data":"#.utf8) + WireValue.string(text).bytes
        } else {
            bytes += Array(#","data_base64":""#.utf8) + Array(Base64.encode(data).utf8) + Array("\"".utf8)
        }
        return bytes + Array("}".utf8)
    }
}

/// Parts of JSON text as they stand there. The text has been read before: it is JSON, and plain.
enum JSONSlices {
    /// Whether it can be UTF-8 without a byte order mark, the only form whose bytes can stand within other JSON: readers take UTF-16 too.
    static func isPlain(_ bytes: [UInt8]) -> Bool { !bytes.starts(with: [0xEF, 0xBB, 0xBF]) && !bytes.contains(0) }

    private static let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]

    /// The members of an object or the values of an array, each with nothing around it.
    static func parts(_ json: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var scan = Scan()
        var start = json.startIndex
        for index in json.indices {
            let depth = scan.depth
            guard scan.take(json[index]) else { continue }
            if depth == 0 { start = index + 1 }
            if json[index] == UInt8(ascii: ",") && depth == 1 || depth == 1 && scan.depth == 0 {
                let part = trimmed(json[start..<index])
                if !part.isEmpty { parts.append(part) }
                start = index + 1
            }
        }
        return parts
    }

    /// What stands behind the colon.
    static func value(ofMember part: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var scan = Scan()
        for index in part.indices where scan.take(part[index]) && part[index] == UInt8(ascii: ":") {
            return trimmed(part[(index + 1)...])
        }
        return part
    }

    private static func trimmed(_ slice: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var slice = slice
        while let first = slice.first, blanks.contains(first) { slice.removeFirst() }
        while let last = slice.last, blanks.contains(last) { slice.removeLast() }
        return slice
    }

    /// Knows which bytes are structure, and how deep it is.
    private struct Scan {
        var depth = 0
        private var isText = false
        private var isEscaped = false

        /// Whether the byte is structure: a bracket, brace, comma or colon outside texts.
        mutating func take(_ byte: UInt8) -> Bool {
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                return false
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                return true
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                return true
            case UInt8(ascii: ","), UInt8(ascii: ":"): return true
            default: break
            }
            return false
        }
    }
}
