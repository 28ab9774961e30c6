package import Streams

extension RedisBinder: PositionTelling {
    package func latestPosition(of destination: Destination) async throws(BinderError) -> String? {
        guard configuration.partitions(of: destination) == nil else { return nil }  // one for each partition
        let keys = keys(of: destination, partition: nil, group: nil)
        let reply: RedisReply
        do throws(BinderError) { reply = try await call(RedisCommand("XINFO", "STREAM", keys.stream), on: keys) } catch {
            if error.message.contains("no such key") { return StreamID.zero.description }
            throw error
        }
        return try Self.reading { () throws(RedisFailure) in try StreamInfo(reply).last.description }
    }

    /// What cannot be understood becomes an error of the binder.
    static func reading<T>(_ body: () throws(RedisFailure) -> T) throws(BinderError) -> T {
        do throws(RedisFailure) { return try body() } catch { throw error.binderError }
    }
}

extension RedisBinder: DeadLetterKeeping {
    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        for keys in allKeys(of: destination, group: group) where limit > 0 {
            let reply = try await call(RedisCommand("XRANGE", keys.dead, "-", "+", "COUNT", String(limit)), on: keys)
            letters += try Self.reading { () throws(RedisFailure) in try Self.letters(reply) }
        }
        return Array(letters.sorted { $0.time < $1.time }.prefix(max(0, limit)))
    }

    private static func letters(_ reply: RedisReply) throws(RedisFailure) -> [DeadLetter] {
        var cursor = ReplyCursor(reply)
        var letters: [DeadLetter] = []
        for _ in 0..<(try cursor.array()) {
            try cursor.array(of: 2)
            let id = try cursor.id()
            var reason = FailureReason(message: "")
            var attempts = 1
            var time = Int64(clamping: id.milliseconds)
            let entry = try EntryFields.read(&cursor, try cursor.array(), id: id) { name, value in
                switch name {
                case DeadField.message: reason.message = value
                case DeadField.kind: reason.kind = value
                case DeadField.attempts: attempts = Int(value) ?? 1
                case DeadField.time: time = Int64(value) ?? time
                default: return false
                }
                return true
            }
            letters.append(
                DeadLetter(id: id.description, envelope: entry.envelope, reason: reason, attempts: attempts, time: time))
        }
        return letters
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await act(ids, of: destination, group: group, Scripts.replay)
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await act(ids, of: destination, group: group, Scripts.drop)
    }

    private typealias Act = (RedisKeys, String, [StreamID], StreamID, Int) -> RedisCommand
    private static let step = 100

    /// In steps, so that the server is not held up by one long script.
    private func act(
        _ ids: [String]?, of destination: Destination, group: ConsumerGroup, _ script: Act
    ) async throws(BinderError) -> Int {
        var chosen: [StreamID] = []
        for text in ids ?? [] {
            guard let id = StreamID(Array(text.utf8)) else {
                throw BinderError(.invalid, "\(text.prefix(40)) is not the id of a dead letter")
            }
            chosen.append(id)
        }
        var count = 0
        for keys in allKeys(of: destination, group: group) {
            if ids != nil {
                for start in stride(from: 0, to: chosen.count, by: Self.step) {
                    let some = Array(chosen[start..<min(chosen.count, start + Self.step)])
                    count += try await step(script(keys, group.name, some, .zero, Self.step), keys).count
                }
                continue
            }
            // Only those that are there now: an event that fails again meanwhile is not given back for ever.
            guard let last = try await newestLetter(keys) else { continue }
            var hasMore = true
            while hasMore {
                let (some, more) = try await step(script(keys, group.name, [], last, Self.step), keys)
                count += some
                hasMore = more
            }
        }
        return count
    }

    private func newestLetter(_ keys: RedisKeys) async throws(BinderError) -> StreamID? {
        let reply = try await call(RedisCommand("XREVRANGE", keys.dead, "+", "-", "COUNT", "1"), on: keys)
        return try Self.reading { () throws(RedisFailure) in
            var cursor = ReplyCursor(reply)
            guard try cursor.array() > 0 else { return nil }
            try cursor.array(of: 2)
            return try cursor.id()
        }
    }

    private func step(_ command: RedisCommand, _ keys: RedisKeys) async throws(BinderError) -> (count: Int, more: Bool) {
        let reply = try await call(command, on: keys)
        return try Self.reading { () throws(RedisFailure) in
            var cursor = ReplyCursor(reply)
            try cursor.array(of: 2)
            return (Int(try cursor.integer()), try cursor.integer() == 1)
        }
    }
}
