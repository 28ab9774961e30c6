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

extension RedisBinder: BacklogReporting {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        var sum = Backlog(ready: 0, inHand: 0, delayed: 0, dead: 0, members: 0)
        for keys in allKeys(of: destination, group: group) {
            let reply: RedisReply
            do throws(BinderError) { reply = try await call(Scripts.backlog(keys, group: group.name), on: keys) } catch {
                guard error.code == .invalid || error.message.contains("no such key") else { throw error }
                throw BinderError(.invalid, "Redis knows no group \(group) of \(destination); a subscription or `prepare` creates it")
            }
            sum.add(try Self.reading { () throws(RedisFailure) in try Self.backlog(reply, destination, group) })
        }
        return sum
    }

    private static func backlog(_ reply: RedisReply, _ destination: Destination, _ group: ConsumerGroup) throws(RedisFailure) -> Backlog {
        var cursor = ReplyCursor(reply)
        try cursor.array(of: 8)
        // Redis itself does not know it, after entries were deleted from the middle for example: unknown is not zero.
        guard let lag = try cursor.optionalInteger() else {
            throw RedisFailure(
                .reply("LAG"),
                "the lag of \(group) in \(destination) is not known (before version 7, or after entries were deleted) until the group has caught up"
            )
        }
        let pending = try cursor.integer()
        let waiting = try cursor.integer()
        let due = try cursor.integer()
        let dead = try cursor.integer()
        let members = try cursor.integer()
        let oldest = try cursor.optionalText().flatMap { StreamID($0.utf8) }
        let now = try cursor.integer()
        let age = oldest.map { Duration.milliseconds(max(0, now - Int64(clamping: $0.milliseconds))) }
        return Backlog(
            ready: Int(lag + due), inHand: Int(max(0, pending - waiting)), delayed: Int(max(0, waiting - due)), dead: Int(dead),
            members: Int(members), oldestAge: age)
    }
}

extension Backlog {
    fileprivate mutating func add(_ other: Backlog) {
        ready += other.ready
        inHand = (inHand ?? 0) + (other.inHand ?? 0)
        delayed = (delayed ?? 0) + (other.delayed ?? 0)
        dead = (dead ?? 0) + (other.dead ?? 0)
        members = (members ?? 0) + (other.members ?? 0)
        oldestAge = [oldestAge, other.oldestAge].compactMap { $0 }.max()
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
