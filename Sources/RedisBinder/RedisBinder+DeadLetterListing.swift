package import Streams

extension RedisBinder: DeadLetterListing {
    /// Looks at every key of the server, in short steps. A cluster would have to be asked node by node: that is not done.
    package func groupsWithDeadLetters() async throws(BinderError) -> [DeadLetterGroup] {
        let keys = keys(of: Destination(fixed: "carillon"), partition: nil, group: nil)
        let info = try await call(RedisCommand("INFO", "cluster"), on: keys).text ?? ""
        guard !info.contains("cluster_enabled:1") else {
            throw BinderError(.unsupported, "which groups of a Redis cluster have dead letters is not told: name a destination and a group")
        }
        let pattern = configuration.prefix.reduce(into: "") { $0 += "*?[]^-\\".contains($1) ? "\\\($1)" : "\($1)" } + "{*}:dead:*"
        var counts: [DeadLetterKey: Int] = [:]
        var seen: Set<String> = []
        var cursor = "0"
        repeat {
            let reply = try await call(RedisCommand("SCAN", cursor, "MATCH", pattern, "COUNT", "1000", "TYPE", "stream"), on: keys)
            let names: [String]
            (cursor, names) = try Self.reading { () throws(RedisFailure) in try Self.names(reply) }
            for name in names where seen.insert(name).inserted {
                guard let key = DeadLetterKey(name, prefix: configuration.prefix) else { continue }
                counts[key, default: 0] += Int(try await call(RedisCommand("XLEN", name), on: keys).integer ?? 0)
            }
        } while cursor != "0"
        var groups: [DeadLetterGroup] = []
        for (key, count) in counts.sorted(by: { ($0.key.destination, $0.key.group) < ($1.key.destination, $1.key.group) }) where count > 0 {
            groups.append(
                DeadLetterGroup(destination: try Destination(key.destination), group: try ConsumerGroup(key.group), count: count))
        }
        return groups
    }

    private static func names(_ reply: RedisReply) throws(RedisFailure) -> (cursor: String, names: [String]) {
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 2)
        let next = try cursor.text()
        var names: [String] = []
        for _ in 0..<(try cursor.array()) { names.append(try cursor.text()) }
        return (next, names)
    }
}

/// What the name of a key of dead letters says: `carillon:{orders/3}:dead:workers`.
struct DeadLetterKey: Hashable {
    let destination: String
    let group: String

    init?(_ name: String, prefix: String) {
        guard name.hasPrefix(prefix + "{"), let end = name.firstRange(of: "}:dead:") else { return nil }
        let tag = name[name.index(name.startIndex, offsetBy: prefix.count + 1)..<end.lowerBound]
        destination = String(tag.prefix { $0 != "/" }).replacing("%7B", with: "{").replacing("%7D", with: "}").replacing("%25", with: "%")
        group = String(name[end.upperBound...])
        if destination.isEmpty || group.isEmpty { return nil }
    }
}
