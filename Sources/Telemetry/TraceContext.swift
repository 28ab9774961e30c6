/// The W3C `traceparent` header: `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`.
package struct TraceContext: Sendable, Hashable {
    package var trace: String
    package var span: String
    package var sampled: Bool

    /// Reads a `traceparent` value; nil for anything that the recommendation calls invalid (all-zero ids, upper case, version `ff`).
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            parts[1].utf8.count == 32, parts[2].utf8.count == 16, parts[3].utf8.count == 2,
            parts[0...3].allSatisfy({ $0.utf8.allSatisfy(Self.isHex) }), parts[1].contains(where: { $0 != "0" }),
            parts[2].contains(where: { $0 != "0" }), let flags = UInt8(parts[3], radix: 16)
        else { return nil }
        trace = parts[1]
        span = parts[2]
        sampled = flags & 1 == 1
    }

    /// A new span of the same trace.
    package func child(using generator: inout some RandomNumberGenerator) -> TraceContext {
        var context = self
        context.span = Self.hex(UInt64.random(in: 1...UInt64.max, using: &generator))
        return context
    }

    /// A new trace.
    package init(using generator: inout some RandomNumberGenerator, sampled: Bool = true) {
        trace =
            Self.hex(UInt64.random(in: 1...UInt64.max, using: &generator)) + Self.hex(UInt64.random(in: 1...UInt64.max, using: &generator))
        span = Self.hex(UInt64.random(in: 1...UInt64.max, using: &generator))
        self.sampled = sampled
    }

    package var text: String { "00-\(trace)-\(span)-\(sampled ? "01" : "00")" }

    private static func isHex(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte) }
    private static func hex(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
