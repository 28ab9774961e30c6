/// A request target, decoded by segment.
package struct Target: Sendable, Hashable {
    package var path: [String]
    package var query: String
    /// The path as sent, still encoded: what error bodies name.
    package var rawPath: String

    /// Whether a segment is `.` or `..`, or has a percent sign after decoding. No route of a `Router` ever sees such a path, only its `unclean` handler.
    package var isUnclean: Bool { Self.isUnclean(path) }

    static func isUnclean(_ path: [String]) -> Bool { path.contains { $0 == "." || $0 == ".." || $0.utf8.contains(0x25) } }

    /// Accepts origin-form, absolute-form (`http://host/…`) and `*`. Nil for what must never reach a handler: bad percent sequences,
    /// an encoded slash, a backslash or control byte, and bytes that are not UTF-8.
    package init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        if rest.elementsEqual([42]) {
            path = ["*"]
            query = ""
            rawPath = "*"
            return
        }
        if rest.first != 47 {
            let text = String(decoding: rest, as: UTF8.self).lowercased()
            guard text.hasPrefix("http://") || text.hasPrefix("https://") else { return nil }
            rest = rest.dropFirst(text.hasPrefix("http://") ? 7 : 8)
            guard let slash = rest.firstIndex(where: { $0 == 47 || $0 == 63 }) else {
                path = [""]
                query = ""
                rawPath = "/"
                return
            }
            rest = rest[slash...]
            if rest.first == 63 { rest = [47] + rest }
        }
        if let mark = rest.firstIndex(of: 63) {
            query = String(decoding: rest[(mark + 1)...], as: UTF8.self)
            rest = rest[..<mark]
        } else {
            query = ""
        }
        rawPath = String(decoding: rest, as: UTF8.self)
        path = []
        for segment in rest.dropFirst().split(separator: 47, omittingEmptySubsequences: false) {
            guard let decoded = Self.decode(segment) else { return nil }
            path.append(decoded)
        }
    }

    private static func decode(_ segment: ArraySlice<UInt8>) -> String? {
        guard segment.contains(where: { $0 == 37 || $0 == 92 }) else { return String(validating: segment, as: UTF8.self) }
        var bytes: [UInt8] = []
        var index = segment.startIndex
        while index < segment.endIndex {
            var byte = segment[index]
            index += 1
            if byte == 37 {
                guard index + 1 < segment.endIndex, let high = PercentEncoding.digit(segment[index]),
                    let low = PercentEncoding.digit(segment[index + 1])
                else { return nil }
                byte = high << 4 | low
                index += 2
                guard byte >= 0x20, byte != 0x7F, byte != 0x2F else { return nil }
            }
            guard byte != 0x5C else { return nil }
            bytes.append(byte)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
