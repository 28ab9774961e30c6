/// What is known of the offsets from a committed one on, as runs; its text is kept as the metadata of the commit, which clients of other
/// makes ignore.
///
/// `carillon:12d,3n,1r2@1700000000000`: twelve are done, three were not handed out, one was handed out twice and is due again at that time.
package struct OffsetNotes: Sendable, Hashable {
    package enum State: Sendable, Hashable {
        case done
        case open(seen: Int, due: Int64)
    }
    package struct Run: Sendable, Hashable {
        package var start: Int64
        package var count: Int64
        package var state: State
    }
    private static let prefix = "carillon:"
    /// Kafka's default limit for metadata is 4,096 bytes. What does not fit is not told, so it is handed out again as if it were new.
    private static let limit = 3800
    package let base: Int64
    package private(set) var runs: [Run] = []
    private var end: Int64
    /// Where the last lookup ended: offsets are asked for in rising order.
    private var cursor = 0

    package init(base: Int64 = 0) {
        self.base = base
        end = base
    }

    /// Reads the text back; anything else than our own form is as good as none.
    package init(base: Int64, text: String) {
        self.init(base: base)
        guard text.hasPrefix(Self.prefix) else { return }
        for token in text.dropFirst(Self.prefix.count).split(separator: ",") {
            guard let kind = token.firstIndex(where: { "dnr".contains($0) }), let count = Int64(token[..<kind]), count > 0,
                count < 1 << 40
            else { return }
            let rest = token[token.index(after: kind)...].split(separator: "@", omittingEmptySubsequences: false)
            switch token[kind] {
            case "d": append(.done, count: count)
            case "n": append(.open(seen: 0, due: 0), count: count)
            default:
                guard let seen = rest.first.flatMap({ Int($0) }), seen >= 0 else { return }
                append(.open(seen: seen, due: rest.count == 2 ? Int64(rest[1]) ?? 0 : 0), count: count)
            }
        }
    }

    package mutating func append(_ state: State, count: Int64) {
        guard count > 0 else { return }
        if let last = runs.last, last.state == state {
            runs[runs.count - 1].count += count
        } else {
            runs.append(Run(start: end, count: count, state: state))
        }
        end += count
    }

    /// Takes over what another one says from `offset` on, which must be where this one ends.
    mutating func append(rest other: OffsetNotes, from offset: Int64) {
        for run in other.runs where run.start + run.count > offset {
            let start = max(run.start, offset)
            if start > end { append(.open(seen: 0, due: 0), count: start - end) }
            append(run.state, count: run.start + run.count - start)
        }
    }

    /// Nil where nothing is noted.
    package mutating func state(of offset: Int64) -> State? {
        while cursor < runs.count, runs[cursor].start + runs[cursor].count <= offset { cursor += 1 }
        guard cursor < runs.count, runs[cursor].start <= offset else { return nil }
        return runs[cursor].state
    }

    /// Empty where there is nothing to tell.
    package var text: String {
        var text = ""
        // What was not handed out at the end needs no note.
        let told = runs.lastIndex { $0.state != .open(seen: 0, due: 0) }.map { runs[...$0] } ?? []
        for run in told {
            var token = text.isEmpty ? Self.prefix : ","
            switch run.state {
            case .done: token += "\(run.count)d"
            case .open(0, 0): token += "\(run.count)n"
            case .open(let seen, 0): token += "\(run.count)r\(seen)"
            case .open(let seen, let due): token += "\(run.count)r\(seen)@\(due)"
            }
            guard text.utf8.count + token.utf8.count <= Self.limit else { break }
            text += token
        }
        return text
    }

    /// How many are done, in hand and waiting for their retry.
    package func count(now: Int64) -> (done: Int, inHand: Int, delayed: Int) {
        var (done, inHand, delayed) = (0, 0, 0)
        for run in runs {
            switch run.state {
            case .done: done += Int(run.count)
            case .open(_, let due) where due > now: delayed += Int(run.count)
            case .open(let seen, _): inHand += seen > 0 ? Int(run.count) : 0
            }
        }
        return (done, inHand, delayed)
    }
}
