import Streams

/// What things are called on the broker.
struct KafkaNames: Sendable, Hashable {
    let topic: String
    /// Nil: a broadcast subscription.
    let group: String?
    /// `group.id`.
    let groupID: String

    /// Of clients that read by themselves: no group of this name is made on the broker, the library only wants one.
    static let nobody = "carillon.broadcast"

    /// Throws `.invalid` for names that Kafka does not take.
    init(_ destination: Destination, _ group: ConsumerGroup?, _ naming: KafkaConfiguration.GroupNaming) throws(BinderError) {
        topic = destination.name
        self.group = group?.name
        groupID =
            switch (group, naming) {
            case (nil, _): Self.nobody
            case (let group?, .group): group.name
            case (let group?, .destination): "\(destination.name).\(group.name)"
            }
        try Self.check(topic)
        if group != nil { try Self.check(deadLetters) }
    }

    /// As Spring has it.
    var deadLetters: String { "error.\(topic).\(group ?? "")" }
    /// Where replayed dead letters go: only members of ours in this group read it.
    var retries: String { "retry.\(topic).\(group ?? "")" }
    /// Says for whom a replayed dead letter is: `a.b` with group `c` and `a` with group `b.c` have topics of the same names.
    var owner: String { "\(topic)/\(group ?? "")" }

    static func check(_ name: String) throws(BinderError) {
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard allowed, !name.isEmpty, name.utf8.count <= 249, name != ".", name != ".." else {
            throw BinderError(.invalid, "Kafka has no topic named \(name): up to 249 of a-z, A-Z, 0-9, dot, dash and underscore")
        }
    }
}
