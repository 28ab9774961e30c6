/// Percent encoding of path segments and form fields (RFC 3986, WHATWG URL).
package enum PercentEncoding {
    /// The value of a hexadecimal digit.
    package static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// Everything but unreserved characters and those of `keeping` becomes `%XX`; safe for a path segment or a query value.
    package static func encode(_ text: String, keeping: String = "") -> String {
        let kept = Set(keeping.utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: result.append(byte)
            case _ where kept.contains(byte): result.append(byte)
            default:
                let digits = Array("0123456789ABCDEF".utf8)
                result += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Decodes `%XX` and, where `plus` is true, `+` as a blank; a broken sequence stays as it is.
    package static func decode(_ text: some StringProtocol, plus: Bool = false) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 37, index + 2 < bytes.count, let high = digit(bytes[index + 1]), let low = digit(bytes[index + 2]) {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(plus && bytes[index] == 43 ? 32 : bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// `application/x-www-form-urlencoded`, as in bodies and queries.
package enum FormURLEncoding {
    package static func decode(_ text: String) -> [(name: String, value: String)] {
        text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                name: PercentEncoding.decode(parts[0], plus: true),
                value: parts.count > 1 ? PercentEncoding.decode(parts[1], plus: true) : ""
            )
        }
    }
}
