/// Numbers as people read them.
package enum Phrase {
    /// At most one digit behind the point; whole from a thousand on.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "endless" }
        guard abs(value) < 1e15 else { return "\(value)" }
        if abs(value) >= 1000 { return String(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    /// `45s`, `5m`, `1h30m`.
    package static func duration(_ seconds: Seconds) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "for ever" }
        guard seconds >= 60 else { return number(seconds) + "s" }
        let whole = Int(seconds.rounded())
        let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }

    static func instances(_ count: Int) -> String { count == 1 ? "1 instance" : "\(count) instances" }
}
