/// A property's value with the type that YAML 1.1 gives it.
public enum PropertyValue: Sendable, Hashable {
    case string(String)
    /// An integer of any size, as decimal digits with an optional minus sign.
    case integer(String)
    case double(Double)
    case boolean(Bool)
    /// What a file tags `!!timestamp`: milliseconds since 1970 in UTC. A date without the tag stays a string.
    case timestamp(milliseconds: Int64)
    /// What a file tags `!!binary`.
    case binary([UInt8])

    public static func integer(_ number: Int) -> PropertyValue { .integer(String(number)) }
}

/// Where a value stands in its file: 1-based line and column of its start.
public struct Origin: Sendable, Hashable {
    public var line: Int
    public var column: Int
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// One flat property: `hosts[0]` = `a`.
public struct Property: Sendable, Hashable {
    public var key: String
    public var value: PropertyValue
    public var origin: Origin?
    public init(key: String, value: PropertyValue, origin: Origin? = nil) {
        self.key = key
        self.value = value
        self.origin = origin
    }
}
