/// An envelope as JSON, as event channels over HTTP carry it:
/// `{"id", "contentType", "key", "timestamp", "headers", "payload", "encoding"}`; what is not set is left out.
///
/// `encoding` is `utf-8` where the payload is UTF-8 text, else `base64`. Headers are JSON values; bytes are `{"$bytes": base64}`, timestamps
/// `{"$timestamp": milliseconds}`.
extension Envelope {
    /// The media type of this form.
    package static let wireType = "application/vnd.carillon.envelope+json"

    package var wireMembers: [WireValue.Member] {
        var members = [WireValue.Member("id", .string(id))]
        if let contentType { members.append(.init("contentType", .string(contentType))) }
        if let key { members.append(.init("key", .string(key))) }
        if let timestamp { members.append(.init("timestamp", .integer(timestamp))) }
        members.append(.init("headers", .object(headers.sorted { $0.key < $1.key }.map { .init($0.key, $0.value.wire) })))
        if let text = String(validating: payload, as: UTF8.self) {
            members.append(.init("payload", .string(text)))
            members.append(.init("encoding", .string("utf-8")))
        } else {
            members.append(.init("payload", .string(WireBase64.encode(payload))))
            members.append(.init("encoding", .string("base64")))
        }
        return members
    }

    /// Reads the form back; a missing id becomes a fresh one. Throws `.invalid` and names the member that is wrong.
    package init(wire value: WireValue) throws(BinderError) {
        guard case .object = value else { throw BinderError(.invalid, "an envelope must be a JSON object with a \"payload\"") }
        func text(_ name: String) throws(BinderError) -> String? {
            guard let found = value[name] else { return nil }
            guard let text = found.string else { throw BinderError(.invalid, "\"\(name)\" of an envelope must be text") }
            return text
        }
        let content = try text("payload") ?? ""
        let payload: [UInt8]
        switch try text("encoding") ?? "utf-8" {
        case "utf-8": payload = Array(content.utf8)
        case "base64":
            guard let bytes = WireBase64.decode(content) else { throw BinderError(.invalid, "\"payload\" of an envelope is not base64") }
            payload = bytes
        case let other: throw BinderError(.invalid, "\"encoding\" of an envelope is utf-8 or base64, not \(other.prefix(40))")
        }
        var headers: [String: HeaderValue] = [:]
        if let given = value["headers"] {
            guard let members = given.members else { throw BinderError(.invalid, "\"headers\" of an envelope must be an object") }
            for member in members { headers[member.name] = try HeaderValue(wire: member.value) }
        }
        var timestamp: Int64?
        if let given = value["timestamp"] {
            guard let number = given.integer else {
                throw BinderError(.invalid, "\"timestamp\" of an envelope must be milliseconds since 1970")
            }
            timestamp = number
        }
        let id = try text("id") ?? Identifier.random()
        guard !id.isEmpty, id.utf8.count <= 255 else { throw BinderError(.invalid, "\"id\" of an envelope must have 1 to 255 bytes") }
        self.init(
            id: id, payload: payload, contentType: try text("contentType"), headers: headers, key: try text("key"), timestamp: timestamp)
    }
}

extension HeaderValue {
    package var wire: WireValue {
        switch self {
        case .string(let text): .string(text)
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .boolean(let flag): .boolean(flag)
        case .bytes(let bytes): .object([.init("$bytes", .string(WireBase64.encode(bytes)))])
        case .timestamp(let time): .object([.init("$timestamp", .integer(time))])
        case .array(let values): .array(values.map(\.wire))
        case .table(let values): .object(values.sorted { $0.key < $1.key }.map { .init($0.key, $0.value.wire) })
        case .null: .null
        }
    }

    package init(wire value: WireValue) throws(BinderError) {
        switch value {
        case .null: self = .null
        case .boolean(let flag): self = .boolean(flag)
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .double(number)
        case .string(let text): self = .string(text)
        case .array(let values):
            var headers: [HeaderValue] = []
            for value in values { headers.append(try HeaderValue(wire: value)) }
            self = .array(headers)
        case .object(let members):
            if members.count == 1, members[0].name == "$bytes", let text = members[0].value.string {
                guard let bytes = WireBase64.decode(text) else { throw BinderError(.invalid, "\"$bytes\" of a header is not base64") }
                self = .bytes(bytes)
            } else if members.count == 1, members[0].name == "$timestamp", let time = members[0].value.integer {
                self = .timestamp(time)
            } else {
                var table: [String: HeaderValue] = [:]
                for member in members { table[member.name] = try HeaderValue(wire: member.value) }
                self = .table(table)
            }
        }
    }
}

/// Base64 with padding (RFC 4648, section 4).
enum WireBase64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let group =
                UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0) | (left > 2 ? UInt32(bytes[index + 2]) : 0)
            out.append(alphabet[Int(group >> 18)])
            out.append(alphabet[Int(group >> 12 & 63)])
            out.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
            out.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
            index += 3
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nil for anything that is not base64 with its padding.
    static func decode(_ text: String) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count.isMultiple(of: 4) else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(characters.count / 4 * 3)
        for start in stride(from: 0, to: characters.count, by: 4) {
            let isLast = start + 4 == characters.count
            let padding = isLast ? characters[start..<start + 4].reversed().prefix { $0 == UInt8(ascii: "=") }.count : 0
            guard padding <= 2 else { return nil }
            var group: UInt32 = 0
            for offset in 0..<4 {
                let value = offset >= 4 - padding ? 0 : values[Int(characters[start + offset])]
                guard value < 64 else { return nil }
                group = group << 6 | UInt32(value)
            }
            out.append(UInt8(truncatingIfNeeded: group >> 16))
            if padding < 2 { out.append(UInt8(truncatingIfNeeded: group >> 8)) }
            if padding < 1 { out.append(UInt8(truncatingIfNeeded: group)) }
        }
        return out
    }
}
