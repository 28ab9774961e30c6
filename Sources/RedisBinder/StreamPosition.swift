import Streams

/// What the server says of a stream (`XINFO STREAM`).
struct StreamInfo: Sendable {
    var length: Int64 = 0
    /// How many entries were ever added; nil before Redis 7.
    var added: Int64?
    var last = StreamID.zero
    var first: StreamID?
    var exists = false

    /// An error of a key that does not exist is a stream that is empty.
    init(_ reply: RedisReply) throws(RedisFailure) {
        if let failure = reply.failure {
            guard failure.text.contains("no such key") else { throw failure }
            return
        }
        exists = true
        var cursor = ReplyCursor(reply)
        var info = self
        try cursor.map { cursor, name throws(RedisFailure) in
            switch name {
            case "length": info.length = try cursor.integer()
            case "entries-added": info.added = try cursor.integer()
            case "last-generated-id": info.last = try cursor.id()
            case "first-entry":
                guard try cursor.optionalArray() != nil else { return }
                info.first = try cursor.id()
                try cursor.skip()
            default: try cursor.skip()
            }
        }
        self = info
    }

    init() {}
}

/// How far a broadcast subscription has read a stream, and whether it missed something: a value, so that every case can be tested.
struct StreamPosition: Sendable, Equatable {
    /// The last entry that was read.
    private(set) var last: StreamID
    /// How many entries had been added up to it; nil where that is not known.
    private(set) var count: Int64?

    /// Where a subscription starts, and whether the stream has lost what lies behind that place.
    static func start(_ start: StartPosition, in stream: StreamInfo) throws(BinderError) -> (position: StreamPosition, gap: Bool) {
        switch start {
        case .latest: return (StreamPosition(last: stream.last, count: stream.added), false)
        case .earliest: return (StreamPosition(last: .zero, count: stream.added.map { $0 - stream.length }), false)
        case .time(let time):
            return (StreamPosition(last: StreamID(UInt64(max(0, time)), 0).before, count: nil), false)
        case .after(let text):
            let id = try StreamID(position: text)
            // The stream has been made anew since.
            if id > stream.last { return (StreamPosition(last: .zero, count: stream.added.map { $0 - stream.length }), true) }
            let isDropped = stream.first.map { id < $0 } ?? (id < stream.last)
            return (StreamPosition(last: id, count: nil), isDropped && stream.removed != 0)
        }
    }

    /// `count` entries were read, up to this one.
    mutating func read(_ count: Int, upTo id: StreamID) {
        last = id
        self.count = self.count.map { $0 + Int64(count) }
    }

    /// Compares with what the server says now; returns whether entries were missed.
    mutating func check(_ stream: StreamInfo) -> Bool {
        if stream.last < last {
            // Deleted or flushed, and made anew: all that is there is new.
            self = StreamPosition(last: .zero, count: stream.added.map { $0 - stream.length })
            return true
        }
        if let count, let added = stream.added, added < count {
            // The same, and its ids have passed ours.
            self.count = nil
            return true
        }
        if last == stream.last {
            defer { count = stream.added }
            guard let count, let added = stream.added else { return false }
            return count < added
        }
        guard let first = stream.first, first > last, let removed = stream.removed else {
            return stream.first.map { $0 > last } ?? false && stream.removed == nil
        }
        let isMissing = count.map { removed > $0 } ?? (removed > 0)
        if isMissing { count = removed }
        return isMissing
    }
}

extension StreamInfo {
    /// How many entries are no longer there; nil where the server does not tell.
    var removed: Int64? { added.map { $0 - length } }
}
