import ConfigModel

/// From a property's text to Swift values, by the rules that Spring Boot's binder has.
enum ConfigConversion {
    static func mistyped(_ entry: ConfigEntry, _ expected: String) -> ConfigError {
        ConfigError(.mistyped, "\(entry.key) is not \(expected); correct it at \(entry.place)")
    }

    static func int(_ entry: ConfigEntry) -> Int? { integer(entry.value) }

    static func integer<Number: FixedWidthInteger>(_ value: PropertyValue) -> Number? {
        let text = trimmed(value.text)
        if let number = Number(text) { return number }
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        guard digits.lowercased().hasPrefix("0x") else { return nil }
        return Number((isNegative ? "-" : "") + digits.dropFirst(2), radix: 16)
    }

    static func double(_ entry: ConfigEntry) -> Double? { number(entry.value) }

    static func number(_ value: PropertyValue) -> Double? {
        if case .double(let number) = value { return number }
        return Double(trimmed(value.text))
    }

    static func bool(_ entry: ConfigEntry) -> Bool? { flag(entry.value) }

    static func flag(_ value: PropertyValue) -> Bool? {
        switch trimmed(value.text).lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    static func duration(_ entry: ConfigEntry) -> Duration? { duration(entry.value.text) }

    static func duration(_ text: String) -> Duration? {
        let text = trimmed(text)
        if let isoStart = text.first, isoStart == "P" || isoStart == "p" || text.uppercased().hasPrefix("-P") {
            return isoDuration(text.uppercased())
        }
        let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "-" || $0 == "+" }
        guard let count = Int64(digits) else { return nil }
        let nanoseconds: Int64
        switch text[digits.endIndex...].lowercased() {
        case "ns": nanoseconds = 1
        case "us": nanoseconds = 1000
        case "ms", "": nanoseconds = 1_000_000
        case "s": nanoseconds = 1_000_000_000
        case "m": nanoseconds = 60_000_000_000
        case "h": nanoseconds = 3_600_000_000_000
        case "d": nanoseconds = 86_400_000_000_000
        default: return nil
        }
        // Whole seconds and the rest apart: a count of days must not overflow 64 bits of nanoseconds.
        let perSecond: Int64 = 1_000_000_000
        if nanoseconds >= perSecond {
            let (seconds, isOver) = count.multipliedReportingOverflow(by: nanoseconds / perSecond)
            return isOver ? nil : .seconds(seconds)
        }
        let perUnit = perSecond / nanoseconds
        return .seconds(count / perUnit) + .nanoseconds(count % perUnit * nanoseconds)
    }

    /// `P1DT2H3M4.5S`
    private static func isoDuration(_ text: String) -> Duration? {
        var rest = text[...]
        let isNegative = rest.first == "-"
        if isNegative { rest = rest.dropFirst() }
        guard rest.popFirst() == "P", !rest.isEmpty else { return nil }
        var total = Duration.zero
        var isInTime = false
        var units = 0
        while !rest.isEmpty {
            if rest.first == "T" {
                guard !isInTime else { return nil }
                isInTime = true
                rest = rest.dropFirst()
                continue
            }
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." || $0 == "-" || $0 == "+" }
            guard let number = Double(digits), number.magnitude < 1e12, let unit = rest[digits.endIndex...].first else { return nil }
            rest = rest[rest.index(after: digits.endIndex)...]
            switch (unit, isInTime) {
            case ("D", false): total += .seconds(number * 86_400)
            case ("H", true): total += .seconds(number * 3600)
            case ("M", true): total += .seconds(number * 60)
            case ("S", true): total += .seconds(number)
            default: return nil
            }
            units += 1
        }
        guard units > 0 else { return nil }
        return isNegative ? .zero - total : total
    }

    static func byteCount(_ entry: ConfigEntry) -> Int? { byteCount(entry.value.text) }

    static func byteCount(_ text: String) -> Int? {
        let text = trimmed(text)
        let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "-" || $0 == "+" }
        guard let count = Int(digits) else { return nil }
        let factor: Int
        switch trimmed(String(text[digits.endIndex...])).uppercased() {
        case "", "B": factor = 1
        case "KB", "KIB", "K": factor = 1 << 10
        case "MB", "MIB", "M": factor = 1 << 20
        case "GB", "GIB", "G": factor = 1 << 30
        case "TB", "TIB", "T": factor = 1 << 40
        default: return nil
        }
        let (bytes, isOver) = count.multipliedReportingOverflow(by: factor)
        return isOver ? nil : bytes
    }

    /// The items of a text with commas, blanks around them dropped; an empty text has none.
    static func items(_ text: String) -> [String] {
        if trimmed(text).isEmpty { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed(String($0)) }
    }

    static func trimmed(_ text: String) -> String {
        var rest = text[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}

/// A count of bytes that `Decodable` sections read from `512`, `10KB`, `4MB`.
public struct ByteCount: Sendable, Hashable, Codable {
    public var bytes: Int
    public init(_ bytes: Int) { self.bytes = bytes }
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let bytes = ConfigConversion.byteCount(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "a size such as 512, 10KB or 4MB"))
        }
        self.bytes = bytes
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(bytes)B")
    }
}
