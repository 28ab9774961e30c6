/// The name that events are published to: an exchange, topic or stream on the broker.
public struct Destination: Sendable, Hashable, CustomStringConvertible {
    public let name: String

    /// Throws `.invalid` for a name that is empty, longer than 180 bytes of UTF-8 (brokers allow 249 to 255 with the group and suffixes
    /// that are added) or holds a control character, blank, `/`, `\`, `?`, `#`, `*`.
    public init(_ name: String) throws(BinderError) {
        try Self.check(name, "destination")
        self.name = name
    }

    /// A name that is part of the program; it must obey the rules above.
    package init(fixed name: StaticString) {
        self.name = name.withUTF8Buffer { String(decoding: $0, as: UTF8.self) }
    }

    public var description: String { name }

    static func check(_ name: String, _ what: String) throws(BinderError) {
        guard !name.isEmpty else { throw BinderError(.invalid, "a \(what) needs a name") }
        guard name.utf8.count <= 180 else {
            throw BinderError(.invalid, "the \(what)'s name is longer than 180 bytes: \(name.prefix(40))…")
        }
        guard name.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F && !"/\\?#*".unicodeScalars.contains($0) }) else {
            throw BinderError(.invalid, "the \(what)'s name holds a blank, a control character or one of / \\ ? # *: \(name)")
        }
    }
}

/// The name under which several members share the events of a destination: each event goes to one of them. Without a group every
/// subscription gets every event.
public struct ConsumerGroup: Sendable, Hashable, CustomStringConvertible {
    public let name: String

    /// Throws `.invalid` by the rules of `Destination`.
    public init(_ name: String) throws(BinderError) {
        try Destination.check(name, "group")
        self.name = name
    }

    public var description: String { name }
}
