import ConfigModel

/// Typed reading of a configuration. Names are relaxed: `pool.max-size` and `pool.maxSize` are one key.
///
/// A value of the wrong type is an error even where a default is given; an error names key, type and origin, never the value.
public protocol ConfigReader: Sendable {
    /// The entry of a key; nil where it has no value.
    func entry(_ key: String) -> ConfigEntry?
    /// The entries of all keys under a name: `pool` holds `pool.size` and `pool[0]`, not `pools`. Sorted by key.
    func entries(under prefix: String) -> [ConfigEntry]
}

extension ConfigReader {
    public func string(_ key: String, default fallback: String? = nil) throws(ConfigError) -> String {
        try read(key, fallback, "text") { $0.value.text }
    }

    public func int(_ key: String, default fallback: Int? = nil) throws(ConfigError) -> Int {
        try read(key, fallback, "an integer", ConfigConversion.int)
    }

    public func double(_ key: String, default fallback: Double? = nil) throws(ConfigError) -> Double {
        try read(key, fallback, "a number", ConfigConversion.double)
    }

    /// `true`, `yes`, `on`, `1` and their opposites.
    public func bool(_ key: String, default fallback: Bool? = nil) throws(ConfigError) -> Bool {
        try read(key, fallback, "true or false", ConfigConversion.bool)
    }

    /// `10s`, `500ms`, `2m`, `PT1M30S`; a number without a unit is milliseconds.
    public func duration(_ key: String, default fallback: Duration? = nil) throws(ConfigError) -> Duration {
        try read(key, fallback, "a duration such as 10s, 500ms or PT1M", ConfigConversion.duration)
    }

    /// `512`, `10KB`, `4MB`, `1GiB` in bytes, in steps of 1024.
    public func byteCount(_ key: String, default fallback: Int? = nil) throws(ConfigError) -> Int {
        try read(key, fallback, "a size such as 512, 10KB or 4MB", ConfigConversion.byteCount)
    }

    /// The items of `key[0]`, `key[1]` …, or of one text with commas.
    public func strings(_ key: String, default fallback: [String]? = nil) throws(ConfigError) -> [String] {
        try list(key, of: String.self, default: fallback)
    }

    /// The items of `key[0]`, `key[1]` …, or of one text with commas.
    public func list<Item: Decodable>(_ key: String, of type: Item.Type, default fallback: [Item]? = nil) throws(ConfigError) -> [Item] {
        let entries = entries(under: key)
        if entries.isEmpty {
            guard let fallback else { throw Self.missing(key, "a list") }
            return fallback
        }
        return try ConfigDecoder.decode([Item].self, key, entries)
    }

    /// A value made of all keys under a name: `section("pool", as: Pool.self)` reads `pool.max-size` into `maxSize`. An empty name reads all.
    public func section<Value: Decodable>(_ name: String, as type: Value.Type) throws(ConfigError) -> Value {
        try ConfigDecoder.decode(type, name, entries(under: name))
    }

    public func contains(_ key: String) -> Bool { entry(key) != nil }

    private func read<Value>(
        _ key: String, _ fallback: Value?, _ expected: String, _ convert: (ConfigEntry) -> Value?
    ) throws(ConfigError) -> Value {
        guard let entry = entry(key) else {
            guard let fallback else { throw Self.missing(key, expected) }
            return fallback
        }
        guard let value = convert(entry) else { throw ConfigConversion.mistyped(entry, expected) }
        return value
    }

    private static func missing(_ key: String, _ expected: String) -> ConfigError {
        ConfigError(.missing, "\(key) has no value; set it to \(expected), or read it with a default")
    }
}
