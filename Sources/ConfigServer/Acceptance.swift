import ConfigModel

/// The `Accept` field of a request: media ranges, the most wanted first.
struct Acceptance: Sendable, Hashable {
    struct Range: Sendable, Hashable {
        /// `type/subtype` in lower case.
        var type: String
        var quality: Double
    }
    let ranges: [Range]
    /// Whether the field was there and cannot be read.
    let isMalformed: Bool

    init(_ field: String?) {
        var ranges: [Range] = []
        var isMalformed = false
        for item in (field ?? "").split(separator: ",").prefix(50) {
            let parts = item.split(separator: ";").map { $0.trimming() }
            guard let type = parts.first?.lowercased(), Self.isMediaRange(type) else {
                isMalformed = true
                continue
            }
            var quality = 1.0
            for parameter in parts.dropFirst() where parameter.lowercased().hasPrefix("q=") {
                quality = Double(parameter.dropFirst(2)) ?? 0
            }
            if quality > 0 { ranges.append(Range(type: type, quality: quality)) }
        }
        // The most specific of equal quality first; otherwise the order of the field.
        self.ranges = ranges.enumerated().sorted { left, right in
            let (l, r) = (left.element, right.element)
            if l.quality != r.quality { return l.quality > r.quality }
            let (a, b) = (Self.wildness(l.type), Self.wildness(r.type))
            return a != b ? a < b : left.offset < right.offset
        }.map(\.element)
        self.isMalformed = isMalformed
    }

    private static func wildness(_ type: String) -> Int { type == "*/*" ? 2 : type.contains("*") ? 1 : 0 }

    private static func isMediaRange(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { Self.isToken($0) } }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// The form of the environment that is wanted most; nil when none of them is acceptable.
    var environmentForm: EnvironmentJSON.Form? {
        guard !isMalformed else { return nil }
        if ranges.isEmpty { return .plain }
        for range in ranges {
            switch range.type {
            case EnvironmentJSON.Form.withOrigins.mediaType, "application/*+json": return .withOrigins
            case "application/json", "application/*", "*/*": return .plain
            default: continue
            }
        }
        return nil
    }

    /// Whether a resource is wanted as bytes.
    var wantsBytes: Bool { ranges.contains { $0.type == "application/octet-stream" || $0.type == "application/*" } }

    /// The media type that a text resource is given: the one asked for, else plain text.
    var textType: String {
        guard let first = ranges.first?.type, !first.contains("*") else { return "text/plain;charset=UTF-8" }
        return first.hasSuffix("json") ? first : first + ";charset=UTF-8"
    }
}

extension StringProtocol {
    /// Without blanks at both ends.
    func trimming() -> String {
        var rest = self[...]
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}
