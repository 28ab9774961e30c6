package import Streams

/// Reads headers of records in all forms that Spring's generations and others send. Keeps the last `spring_json_header_types` that it has read:
/// those of one publisher are the same, record after record.
package struct KafkaHeaderReader: Sendable {
    private var lastTypes: [UInt8] = []
    private var lastClasses: [String: String] = [:]

    package init() {}

    /// Fills id, content type and headers of an envelope. Nothing that a peer sends throws: what is not what it claims to be arrives as bytes.
    package mutating func read(_ headers: RecordHeaders, into envelope: inout Envelope) {
        let classes = classes(of: headers)
        headers.forEach { name, value in
            // Most records of ours have exactly these, which need no dictionary.
            if name.elementsEqual(KafkaHeaders.types.utf8) { return }
            if name.elementsEqual(KafkaHeaders.contentType.utf8) {
                envelope.contentType = value.flatMap { Self.contentType($0, class: classes?[KafkaHeaders.contentType]) }
                return
            }
            if name.elementsEqual(KafkaHeaders.id.utf8) {
                if let value, !value.isEmpty { envelope.id = String(decoding: value, as: UTF8.self) }
                return
            }
            let name = String(decoding: name, as: UTF8.self)
            envelope.headers[name] = Self.value(value, name: name, classes: classes)
        }
    }

    /// Nil: the record has none, so it was not made by Spring or by us.
    private mutating func classes(of headers: RecordHeaders) -> [String: String]? {
        var found: [String: String]?
        headers.forEach { name, value in
            guard let value, name.elementsEqual(KafkaHeaders.types.utf8) else { return }
            if lastTypes.elementsEqual(value) {
                found = lastClasses
                return
            }
            let bytes = Array(value)
            var classes: [String: String] = [:]
            if let members = (try? WireValue(bytes))?.members {
                for member in members { if let name = member.value.string { classes[member.name] = name } }
            }
            lastTypes = bytes
            lastClasses = classes
            found = classes
        }
        return found
    }

    // MARK: Values

    private static func value(_ value: UnsafeRawBufferPointer?, name: String, classes: [String: String]?) -> HeaderValue {
        guard let value else { return .null }
        let bytes = Array(value)
        if KafkaHeaders.isAlwaysText(name) || name == KafkaHeaders.owner { return .string(String(decoding: bytes, as: UTF8.self)) }
        guard let classes else { return String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes) }
        guard let type = classes[name] else { return .bytes(bytes) }
        return decode(bytes, class: type) ?? String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes)
    }

    /// Nil: it is not what the class says.
    static func decode(_ bytes: [UInt8], class type: String) -> HeaderValue? {
        if type == "java.lang.String" {
            if bytes.first == UInt8(ascii: "\""), let text = (try? WireValue(bytes))?.string { return .string(text) }
            return String(validating: bytes, as: UTF8.self).map { .string($0) }
        }
        guard let json = try? WireValue(bytes) else { return nil }
        switch type {
        case "java.lang.Integer", "java.lang.Long", "java.lang.Short", "java.lang.Byte", "java.math.BigInteger":
            return json.integer.map { .integer($0) }
        case "java.lang.Double", "java.lang.Float", "java.math.BigDecimal": return double(json)
        case "java.util.Date":
            return json.integer.map { .timestamp($0) } ?? json.string.flatMap(JavaDate.milliseconds).map { .timestamp($0) }
        case "org.springframework.util.MimeType", "org.springframework.http.MediaType":
            return (json.string ?? mimeType(json)).map { .string($0) }
        default: return (try? HeaderValue(wire: json))
        }
    }

    private static func double(_ json: WireValue) -> HeaderValue? {
        switch json {
        case .double(let number): .double(number)
        case .integer(let number): .double(Double(number))
        case .string("NaN"): .double(.nan)
        case .string("Infinity"): .double(.infinity)
        case .string("-Infinity"): .double(-.infinity)
        default: nil
        }
    }

    // MARK: Content types

    /// Raw, in quotes, or as the object that the oldest generation sent; listed or not. Nil when empty.
    static func contentType(_ value: UnsafeRawBufferPointer, class type: String?) -> String? {
        switch value.first {
        case nil: return nil
        case UInt8(ascii: "\""): return (try? WireValue(Array(value)))?.string ?? String(decoding: value, as: UTF8.self)
        case UInt8(ascii: "{"): return (try? WireValue(Array(value))).flatMap(mimeType) ?? String(decoding: value, as: UTF8.self)
        default: return String(decoding: value, as: UTF8.self)
        }
    }

    private static func mimeType(_ json: WireValue) -> String? {
        guard let type = json["type"]?.string, let subtype = json["subtype"]?.string else { return nil }
        let parameters = (json["parameters"]?.members ?? []).compactMap { member in member.value.string.map { ";\(member.name)=\($0)" } }
        return "\(type)/\(subtype)" + parameters.joined()
    }
}

/// The form in which Jackson 3 writes a `java.util.Date`: `2023-11-14T22:13:20.123Z`.
enum JavaDate {
    static func milliseconds(_ text: String) -> Int64? {
        let parts = Array(text.utf8)
        guard parts.count >= 20, parts.last == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> Int64? { Int64(String(decoding: parts[range], as: UTF8.self)) }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var fraction: Int64 = 0
        if parts[19] == UInt8(ascii: ".") {
            guard parts.count > 21, let digits = number(20..<min(23, parts.count - 1)), digits >= 0 else { return nil }
            let missing = 3 - (min(23, parts.count - 1) - 20)
            fraction = digits * [1, 10, 100][max(0, missing)]
        }
        // Days since 1970 by the civil calendar.
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction
    }
}

/// The oldest form: no record headers, but `0xFF, n, n × (name length, name, value length in four bytes, JSON value)` before the payload.
package enum EmbeddedHeaders {
    /// Nil where the value is anything else: every byte must fit.
    package static func read(_ value: [UInt8]) -> (headers: [(name: String, value: WireValue)], payload: [UInt8])? {
        guard value.count > 2, value[0] == 0xFF, value[1] > 0 else { return nil }
        var at = 2
        var headers: [(name: String, value: WireValue)] = []
        for _ in 0..<value[1] {
            guard at < value.count, value[at] > 0, at + 1 + Int(value[at]) + 4 <= value.count else { return nil }
            let name = value[(at + 1)..<(at + 1 + Int(value[at]))]
            at += 1 + name.count
            let length = value[at..<(at + 4)].reduce(0) { $0 << 8 | Int($1) }
            at += 4
            guard at + length <= value.count, let text = String(validating: name, as: UTF8.self),
                let json = try? WireValue(Array(value[at..<(at + length)]))
            else { return nil }
            headers.append((text, json))
            at += length
        }
        return (headers, Array(value[at...]))
    }

    package static func read(_ value: [UInt8], into envelope: inout Envelope) -> Bool {
        guard let (headers, payload) = read(value) else { return false }
        for (name, json) in headers {
            if name == KafkaHeaders.contentType {
                envelope.contentType = json.string
            } else if let header = try? HeaderValue(wire: json) {
                envelope.headers[name] = header
            }
        }
        envelope.payload = payload
        return true
    }
}
