import ConfigModel

/// Decodes `Decodable` values from flat properties.
enum ConfigDecoder {
    static func decode<Value: Decodable>(_ type: Value.Type, _ name: String, _ entries: [ConfigEntry]) throws(ConfigError) -> Value {
        let tree = ConfigTree(entries, below: name)
        do {
            return try ValueDecoder(tree: tree, codingPath: [], name: name).decode(type)
        } catch let error as ConfigError {
            throw error
        } catch let error as DecodingError {
            throw describe(error, name, tree)
        } catch {
            throw ConfigError(.mistyped, "\(name.isEmpty ? "the configuration" : name) cannot be read as \(type)")
        }
    }

    /// Names the key; `debugDescription` of foreign decoders may hold the value, so it is not shown.
    private static func describe(_ error: DecodingError, _ name: String, _ tree: ConfigTree) -> ConfigError {
        switch error {
        case .keyNotFound(let key, let context):
            return ConfigError(.missing, "\(path(name, context.codingPath + [key])) has no value; set it")
        case .valueNotFound(let type, let context):
            return ConfigError(.missing, "\(path(name, context.codingPath)) has no value; set it to \(type)")
        case .typeMismatch(let type, let context):
            return ConfigError(.mistyped, "\(path(name, context.codingPath)) is not \(type)\(place(tree, context.codingPath))")
        case .dataCorrupted(let context):
            return ConfigError(
                .mistyped, "\(path(name, context.codingPath)) has a value that cannot be used\(place(tree, context.codingPath))")
        @unknown default:
            return ConfigError(.mistyped, "\(name) cannot be read")
        }
    }

    private static func place(_ tree: ConfigTree, _ codingPath: [any CodingKey]) -> String {
        var node: ConfigTree? = tree
        for key in codingPath { node = key.intValue.flatMap { node?.items[$0] } ?? node?.find(key.stringValue) }
        return (node?.anyEntry).map { "; correct it at \($0.place)" } ?? ""
    }

    static func path(_ name: String, _ codingPath: [any CodingKey]) -> String {
        var text = name.hasSuffix(".") ? String(name.dropLast()) : name
        for key in codingPath {
            if let index = key.intValue { text += "[\(index)]" } else { text += (text.isEmpty ? "" : ".") + key.stringValue }
        }
        return text
    }
}

private struct ItemKey: CodingKey {
    var intValue: Int?
    var stringValue: String
    init(_ index: Int) {
        intValue = index
        stringValue = "\(index)"
    }
    init?(intValue: Int) { self.init(intValue) }
    init?(stringValue: String) { return nil }
}

private struct ValueDecoder: Decoder, SingleValueDecodingContainer {
    let tree: ConfigTree
    let codingPath: [any CodingKey]
    let name: String
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(SectionContainer(tree: tree, codingPath: codingPath, name: name))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        if let list = tree.list { return ListContainer(items: list, codingPath: codingPath, name: name) }
        // One text with commas is a list, and an empty text an empty list.
        if let entry = tree.entry {
            let items = ConfigConversion.items(entry.value.text).map { item in
                ConfigTree(
                    [ConfigEntry(key: entry.key, value: .string(item), source: entry.source, origin: entry.origin)], below: entry.key)
            }
            return ListContainer(items: items, codingPath: codingPath, name: name)
        }
        throw mistyped("a list")
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    private func mistyped(_ expected: String) -> ConfigError {
        let key = ConfigDecoder.path(name, codingPath)
        guard let entry = tree.entry ?? tree.anyEntry else { return ConfigError(.missing, "\(key) has no value; set it to \(expected)") }
        return ConfigError(.mistyped, "\(key) is not \(expected); correct it at \(entry.place)")
    }

    private func scalar<Value>(_ expected: String, _ convert: (PropertyValue) -> Value?) throws -> Value {
        guard let entry = tree.entry, let value = convert(entry.value) else { throw mistyped(expected) }
        return value
    }

    private func integer<Number: FixedWidthInteger & SendableMetatype>(_ type: Number.Type) throws -> Number {
        try scalar("an integer from \(Number.min) to \(Number.max)") { value -> Number? in ConfigConversion.integer(value) }
    }

    func decodeNil() -> Bool { tree.entry == nil && tree.children.isEmpty && tree.items.isEmpty }
    func decode(_ type: Bool.Type) throws -> Bool { try scalar("true or false", ConfigConversion.flag) }
    func decode(_ type: String.Type) throws -> String { try scalar("text") { $0.text } }
    func decode(_ type: Double.Type) throws -> Double { try scalar("a number", ConfigConversion.number) }
    func decode(_ type: Float.Type) throws -> Float { try scalar("a number") { ConfigConversion.number($0).map(Float.init) } }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        // `Duration` would decode itself from a list of two integers.
        if type == Duration.self {
            let duration: Duration = try scalar("a duration such as 10s, 500ms or PT1M") { ConfigConversion.duration($0.text) }
            if let duration = duration as? Value { return duration }
        }
        return try Value(from: self)
    }
}

private struct SectionContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let tree: ConfigTree
    let codingPath: [any CodingKey]
    let name: String

    var allKeys: [Key] {
        (tree.children.keys.sorted() + tree.items.keys.sorted().map(String.init)).compactMap { Key(stringValue: $0) }
    }

    private func child(_ key: Key) -> ConfigTree? { tree.find(key.stringValue) ?? Int(key.stringValue).flatMap { tree.items[$0] } }

    func contains(_ key: Key) -> Bool { child(key) != nil }

    private func decoder(_ key: Key) throws -> ValueDecoder {
        guard let child = child(key) else { throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: "")) }
        return ValueDecoder(tree: child, codingPath: codingPath + [key], name: name)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).decodeNil() }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try decoder(key).decode(type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try decoder(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { ValueDecoder(tree: tree, codingPath: codingPath, name: name) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct ListContainer: UnkeyedDecodingContainer {
    let items: [ConfigTree]
    let codingPath: [any CodingKey]
    let name: String
    var currentIndex = 0

    init(items: [ConfigTree], codingPath: [any CodingKey], name: String) {
        self.items = items
        self.codingPath = codingPath
        self.name = name
    }

    var count: Int? { items.count }
    var isAtEnd: Bool { currentIndex >= items.count }

    private mutating func next() throws -> ValueDecoder {
        guard !isAtEnd else { throw DecodingError.valueNotFound(Any.self, .init(codingPath: codingPath, debugDescription: "")) }
        defer { currentIndex += 1 }
        return ValueDecoder(tree: items[currentIndex], codingPath: codingPath + [ItemKey(currentIndex)], name: name)
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, ValueDecoder(tree: items[currentIndex], codingPath: codingPath, name: name).decodeNil() else { return false }
        currentIndex += 1
        return true
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next().decode(type) }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try next().container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }
    mutating func superDecoder() throws -> any Decoder { try next() }
}
