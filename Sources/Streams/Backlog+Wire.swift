/// How backlogs travel over HTTP. What is not known is left out: unknown is not zero.
extension Backlog {
    private static var numbers: [(name: String, part: WritableKeyPath<Backlog, Int?>)] {
        [
            ("inHand", \.inHand), ("delayed", \.delayed), ("dead", \.dead), ("members", \.members), ("published", \.published),
            ("acknowledged", \.acknowledged), ("partitions", \.partitions),
        ]
    }

    package var wireMembers: [WireValue.Member] {
        var members = [WireValue.Member("ready", .integer(Int64(ready)))]
        for (name, part) in Self.numbers {
            if let count = self[keyPath: part] { members.append(.init(name, .integer(Int64(count)))) }
        }
        if let age = oldestAge {
            let seconds = Double(age.components.seconds) + Double(age.components.attoseconds / 1_000_000_000_000_000) / 1000
            members.append(.init("oldestAge", .double(seconds)))
        }
        if !progress.isEmpty {
            let parts = progress.map { one in
                WireValue.object([
                    .init("partition", .string(one.partition)), .init("committed", .integer(Int64(one.committed))),
                    .init("backlog", .integer(Int64(one.backlog))),
                ])
            }
            members.append(.init("progress", .array(parts)))
        }
        if let note { members.append(.init("note", .string(note))) }
        return members
    }

    /// Nil where the number of events that are ready is missing, or a number is negative.
    package init?(wire value: WireValue) {
        func number(_ name: String, of value: WireValue) -> Int? { value[name]?.integer.flatMap { Int(exactly: $0) } }
        guard let ready = number("ready", of: value), ready >= 0 else { return nil }
        self.init(ready: ready, inHand: nil, delayed: nil, note: value["note"]?.string)
        for (name, part) in Self.numbers {
            let count = number(name, of: value)
            guard count ?? 0 >= 0 else { return nil }
            self[keyPath: part] = count
        }
        switch value["oldestAge"] {
        case .double(let seconds) where seconds >= 0 && seconds < 1e12: oldestAge = .milliseconds(Int64(seconds * 1000))
        case .integer(let seconds) where seconds >= 0: oldestAge = .seconds(seconds)
        default: break
        }
        progress = (value["progress"]?.array ?? []).compactMap { one in
            guard let name = one["partition"]?.string, let committed = number("committed", of: one),
                let backlog = number("backlog", of: one)
            else { return nil }
            return PartitionProgress(partition: name, committed: committed, backlog: backlog)
        }
    }
}
