package import HTTP

/// The binary mode of the HTTP binding: attributes are `ce-…` fields, data is the body.
extension CloudEvent {
    /// Whether a message with these fields is a CloudEvent in binary mode.
    package static func isBinary(_ headers: HTTPHeaders) -> Bool { headers["ce-specversion"] != nil }

    package init(binary headers: HTTPHeaders, body: [UInt8]) throws(CloudEventError) {
        try Self.check(version: headers["ce-specversion"].map { Self.decode($0) ?? "no text" })
        var attributes: [String: Value] = [:]
        for (name, value) in headers.fields {
            let lower = name.lowercased()
            guard lower.hasPrefix("ce-"), lower != "ce-specversion" else { continue }
            let attribute = String(lower.dropFirst(3))
            guard attribute != "datacontenttype" else {
                throw CloudEventError(attribute, "is the `Content-Type` in binary mode, not a `ce-` field")
            }
            guard attributes[attribute] == nil else { throw CloudEventError(attribute, "is given twice") }
            guard let text = Self.decode(value) else { throw CloudEventError(attribute, "is not UTF-8 after percent-decoding") }
            attributes[attribute] = .string(text)
        }
        if let type = headers["Content-Type"] { attributes["datacontenttype"] = .string(type) }
        try self.init(attributes: attributes, data: body.isEmpty ? nil : body)
    }

    /// The fields and the body of the event as a message.
    package var binary: (headers: HTTPHeaders, body: [UInt8]) {
        var headers: HTTPHeaders = ["ce-specversion": Self.version]
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) where name != "datacontenttype" {
            headers.add("ce-" + name, Self.encode(value.text))
        }
        if let type = self["datacontenttype"] { headers["Content-Type"] = type }
        return (headers, data ?? [])
    }

    /// Percent-encodes what the binding says: blanks, quotes, percent signs, and everything beyond printable ASCII.
    static func encode(_ text: String) -> String {
        let kept = String((0x21...0x7E).map { Character(Unicode.Scalar($0)) }.filter { $0 != "\"" && $0 != "%" })
        return PercentEncoding.encode(text, keeping: kept)
    }

    /// Takes quotes away, then one round of percent-encoding. Nil for what is not UTF-8 then.
    static func decode(_ value: String) -> String? {
        var bytes = Array(value.utf8)
        if bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") {
            var plain: [UInt8] = []
            var isEscaped = false
            for byte in bytes.dropFirst().dropLast() {
                if !isEscaped, byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else {
                    isEscaped = false
                    plain.append(byte)
                }
            }
            bytes = plain
        }
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = PercentEncoding.digit(bytes[index + 1]),
                let low = PercentEncoding.digit(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }
}
