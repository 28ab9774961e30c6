package import Streams

extension RedisBinder: BacklogReporting {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        let one = DestinationGroup(destination, group)
        guard let found = await backlogs(of: [one])[one] else { throw BinderError(.cancelled, "asking Redis for a backlog was cancelled") }
        return try found.get()
    }

    /// Questions share scripts; in a cluster, whose scripts take keys of one slot only, each has one of its own, sent without waiting for the others.
    package func backlogs(of groups: Set<DestinationGroup>) async -> [DestinationGroup: Result<Backlog, BinderError>] {
        var parts: [BacklogPart] = []
        for group in groups {
            for keys in allKeys(of: group.destination, group: group.group) { parts.append(BacklogPart(of: group, keys: keys)) }
        }
        var answers: [(BacklogPart, Result<Backlog, BinderError>)] = []
        await withTaskGroup(of: [(BacklogPart, Result<Backlog, BinderError>)].self) { tasks in
            for start in stride(from: 0, to: parts.count, by: Self.groupsPerScript) {
                let some = Array(parts[start..<min(parts.count, start + Self.groupsPerScript)])
                tasks.addTask { await self.ask(some) }
            }
            for await some in tasks { answers += some }
        }
        var all: [DestinationGroup: Result<Backlog, BinderError>] = [:]
        for (part, answer) in answers {
            switch (all[part.group], answer) {
            case (nil, _), (.success?, .failure): all[part.group] = answer
            case (.success(let one)?, .success(let other)): all[part.group] = .success(one.adding(other))
            case (.failure?, _): break
            }
        }
        return all
    }

    /// A script is one step for the server, in which it serves nobody else.
    static let groupsPerScript = 64
    /// Where the server does not know how many entries are unread, so many are counted.
    static let countLimit = 1000

    private func ask(_ parts: [BacklogPart]) async -> [(BacklogPart, Result<Backlog, BinderError>)] {
        do throws(BinderError) {
            let command = Scripts.backlogs(parts.map { ($0.keys, $0.group.group.name) }, limit: Self.countLimit)
            let reply = try await call(command, on: parts[0].keys)
            return try Self.reading { () throws(RedisFailure) in try Self.read(reply, parts) }
        } catch {
            guard parts.count > 1, error.message.contains("CROSSSLOT") else { return parts.map { ($0, .failure(error)) } }
        }
        return await withTaskGroup(of: [(BacklogPart, Result<Backlog, BinderError>)].self) { tasks in
            for part in parts { tasks.addTask { await self.ask([part]) } }
            return await tasks.reduce(into: []) { $0 += $1 }
        }
    }

    private static func read(
        _ reply: RedisReply, _ parts: [BacklogPart]
    ) throws(RedisFailure) -> [(BacklogPart, Result<Backlog, BinderError>)] {
        var cursor = ReplyCursor(reply)
        try cursor.array(of: parts.count + 1)
        let now = try cursor.integer()
        var all: [(BacklogPart, Result<Backlog, BinderError>)] = []
        for part in parts {
            let count = try cursor.array()
            guard count != 1 else {
                let text = try cursor.text()
                let isGone = text.contains("NOGROUP") || text.contains("no such key")
                let failure =
                    isGone
                    ? BinderError(
                        .invalid,
                        "Redis knows no group \(part.group.group) of \(part.group.destination); a subscription or `prepare` creates it")
                    : RedisFailure(reply: text).binderError
                all.append((part, .failure(failure)))
                continue
            }
            guard count == 9 else { throw RedisFailure(.broken, "a backlog of \(count) numbers") }
            all.append((part, try backlog(&cursor, now: now, of: part.group)))
        }
        return all
    }

    private static func backlog(
        _ cursor: inout ReplyCursor, now: Int64, of group: DestinationGroup
    ) throws(RedisFailure) -> Result<Backlog, BinderError> {
        let lag = try cursor.optionalInteger()
        let pending = try cursor.integer()
        let waiting = try cursor.integer()
        let due = try cursor.integer()
        let dead = try cursor.integer()
        let members = try cursor.integer()
        let oldest = try cursor.optionalText().flatMap { StreamID($0.utf8) }
        let added = try cursor.optionalInteger()
        let read = try cursor.optionalInteger()
        // Redis itself does not know it, after entries were deleted from the middle for example: unknown is not zero.
        guard let lag, lag >= 0 else {
            return .failure(
                BinderError(
                    .rejected,
                    "Redis does not know how many entries of \(group.destination) the group \(group.group) has not read (before version 7, or "
                        + "after entries were deleted), and there are more than \(countLimit), which are not counted one by one: it is known "
                        + "again when the group has caught up"))
        }
        let age = oldest.map { Duration.milliseconds(max(0, now - Int64(clamping: $0.milliseconds))) }
        return .success(
            Backlog(
                ready: Int(lag + due), inHand: Int(max(0, pending - waiting)), delayed: Int(max(0, waiting - due)), dead: Int(dead),
                members: Int(members), oldestAge: age, published: added.map { Int($0) },
                acknowledged: read.map { Int(max(0, $0 - pending)) }))
    }
}

/// The group of one stream: a destination with partitions has several.
private struct BacklogPart: Sendable {
    let group: DestinationGroup
    let keys: RedisKeys

    init(of group: DestinationGroup, keys: RedisKeys) {
        self.group = group
        self.keys = keys
    }
}

extension Backlog {
    fileprivate func adding(_ other: Backlog) -> Backlog {
        /// Unknown where one of them is.
        func sum(_ part: KeyPath<Backlog, Int?>) -> Int? {
            guard let one = self[keyPath: part], let more = other[keyPath: part] else { return nil }
            return one + more
        }
        return Backlog(
            ready: ready + other.ready, inHand: sum(\.inHand), delayed: sum(\.delayed), dead: sum(\.dead), members: sum(\.members),
            oldestAge: [oldestAge, other.oldestAge].compactMap { $0 }.max(), published: sum(\.published),
            acknowledged: sum(\.acknowledged))
    }
}
