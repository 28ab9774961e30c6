import Streams

/// The keys of one destination, or of one of its partitions. All hold the same hash tag, so that a cluster keeps them in one slot and scripts
/// may touch them together; partitions have tags of their own and spread over the nodes.
///
/// - `carillon:{orders}`: the stream; of partition 3 of a partitioned destination `carillon:{orders/3}`
/// - `carillon:{orders}:retry:workers`: sorted set of the ids that wait for their retry, by the time when they are due
/// - `carillon:{orders}:members:workers`: sorted set of the group's members, by the time until which they are taken for alive
/// - `carillon:{orders}:mark:workers`: hash of where the group stands, to create it again without loss
/// - `carillon:{orders}:dead:workers`: stream of the group's dead letters
struct RedisKeys: Sendable, Hashable {
    let stream: String
    private let group: String

    init(_ destination: Destination, partition: Int?, group: ConsumerGroup?, prefix: String) {
        // A brace within would end the tag; the slash cannot be part of a destination's name.
        let isPlain = !destination.name.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: "%") }
        var stream = prefix
        stream += "{"
        stream += isPlain ? destination.name : Self.escaped(destination.name)
        if let partition { stream += "/\(partition)" }
        stream += "}"
        self.stream = stream
        self.group = group?.name ?? ""
    }

    private static func escaped(_ name: String) -> String {
        name.reduce(into: "") { name, character in
            switch character {
            case "{": name += "%7B"
            case "}": name += "%7D"
            case "%": name += "%25"
            default: name.append(character)
            }
        }
    }

    var retry: String { stream + ":retry:" + group }
    var members: String { stream + ":members:" + group }
    var mark: String { stream + ":mark:" + group }
    var dead: String { stream + ":dead:" + group }
}
