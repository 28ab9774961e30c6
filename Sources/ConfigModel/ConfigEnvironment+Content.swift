internal import Crypto

extension PropertyValue {
    /// The value as it comes out of JSON at the other end: there is no type for times, bytes and numbers without end.
    var onWire: PropertyValue {
        switch self {
        case .timestamp, .binary: .string(text)
        case .double(let number) where !number.isFinite: .string(text)
        default: self
        }
    }
}

extension ConfigEnvironment {
    /// What the environment says, as 64 hexadecimal digits: equal when the merged keys, values and types are, wherever they come from.
    /// A server and its clients compute the same, from either form of JSON.
    public var contentHash: String { Self.contentHash(of: merged) }

    /// As `contentHash`, of values that are merged already.
    package static func contentHash(of merged: [String: PropertyValue]) -> String {
        var canonical: [UInt8] = []
        func append(_ text: String) {
            canonical += Array(String(text.utf8.count).utf8)
            canonical.append(UInt8(ascii: ":"))
            canonical += text.utf8
        }
        for (key, value) in merged.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            let value = value.onWire
            append(key)
            switch value {
            case .string, .timestamp, .binary: canonical.append(UInt8(ascii: "s"))
            case .integer: canonical.append(UInt8(ascii: "i"))
            case .double: canonical.append(UInt8(ascii: "d"))
            case .boolean: canonical.append(UInt8(ascii: "b"))
            }
            append(value.text)
        }
        return Hexadecimal.encode(SHA256.digest(of: canonical))
    }

    /// Keys whose merged value came, went or is another one, sorted; never values. Without `earlier` all keys.
    public func changedKeys(since earlier: ConfigEnvironment?) -> [String] {
        Self.changedKeys(from: earlier?.merged ?? [:], to: merged)
    }

    /// As `changedKeys(since:)`, of values that are merged already.
    package static func changedKeys(from old: [String: PropertyValue], to new: [String: PropertyValue]) -> [String] {
        var keys: [String] = []
        for (key, value) in new where old[key]?.onWire.comparable != value.onWire.comparable { keys.append(key) }
        for key in old.keys where new[key] == nil { keys.append(key) }
        return keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The merged properties in the order of the flat forms: plain keys by their first appearance from the lowest source up, then the
    /// lists, each of them from the highest source that has any of it. `spring.profiles`, which only decides about documents, is left out.
    package var mergedInOrder: [Property] {
        var plain: [Property] = []
        var places: [String: Int] = [:]
        var lists: [Substring] = []
        var items: [Substring: [Property]] = [:]
        for source in propertySources.reversed() {
            var own: [Substring: [Property]] = [:]
            for property in source.properties {
                if let bracket = property.key.firstIndex(of: "[") {
                    let list = property.key[..<bracket]
                    if own[list] == nil && items[list] == nil { lists.append(list) }
                    own[list, default: []].append(property)
                } else if let place = places[property.key] {
                    plain[place] = property
                } else if property.key != "spring.profiles" {
                    places[property.key] = plain.count
                    plain.append(property)
                }
            }
            items.merge(own) { $1 }
        }
        return lists.reduce(into: plain) { $0 += items[$1] ?? [] }
    }
}

extension PropertyValue {
    /// A form that is equal for what is the same to a reader: a not-a-number is not equal to itself.
    fileprivate var comparable: String? {
        switch self {
        case .string(let text): "s" + text
        case .integer(let digits): "i" + digits
        case .boolean(let value): value ? "bt" : "bf"
        case .double, .timestamp, .binary: "d" + text
        }
    }
}
