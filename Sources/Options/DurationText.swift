/// Times as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`; a plain number is seconds.
package enum DurationText {
    package static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number.isFinite, number >= 0 else { return nil }
        let factor: Double
        switch text.dropFirst(digits.count).trimmingPrefix(while: { $0 == " " }) {
        case "ms": factor = 0.001
        case "", "s": factor = 1
        case "m", "min": factor = 60
        case "h": factor = 3600
        case "d": factor = 86400
        default: return nil
        }
        guard number * factor < 1e9 else { return nil }
        return .milliseconds(Int64((number * factor * 1000).rounded()))
    }

    /// The shortest of the forms that `parse` reads.
    package static func render(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        for (unit, size) in [("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        where milliseconds % size == 0 && milliseconds > 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
