internal import Locking
package import Streams
internal import Telemetry
internal import ThreadExecutor

extension LocalBinder: BacklogReporting, DeadLetterKeeping {
    package func backlog(of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Backlog {
        try await whenOpen()
        let now = BrokerClock.wall
        return try withGroup(group, of: destination) { group, log, _ in group.backlog(log, now: now) }
    }

    package func deadLetters(of destination: Destination, group: ConsumerGroup, limit: Int) async throws(BinderError) -> [DeadLetter] {
        try await whenOpen()
        let records = try withGroup(group, of: destination) { group, _, _ in group.dead }.sorted { $0.key < $1.key }.prefix(max(0, limit))
        var letters: [DeadLetter] = []
        for (position, record) in records {
            guard let stored = try await envelope(position, of: destination, record) else { continue }
            letters.append(
                DeadLetter(
                    id: String(position), envelope: stored.envelope, reason: record.reason, attempts: record.attempts, time: record.time))
        }
        return letters
    }

    func envelope(
        _ position: UInt64, of destination: Destination, _ record: GroupState.DeadRecord
    ) async throws(BinderError) -> StoredEnvelope? {
        guard record.stored == nil, let journal, let thread else { return record.stored }
        guard let index = state.withLock({ $0.broker.index(of: destination) }) else { return nil }
        do { return try await thread.run { try journal.read(position, of: index) } } catch {
            throw error as? BinderError ?? BinderError(.broken, "\(error)")
        }
    }

    package func replay(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await whenOpen()
        let positions = try ids.map(Self.positions)
        let now = BrokerClock.wall
        let (count, hints) = try withGroup(group, of: destination) { group, log, out in
            let wasIdle = group.pendingEvents(log) == 0
            let count = group.replay(positions, log: log, now: now, &out)
            return (count, wasIdle && count > 0)
        }
        if hints { hint(DestinationGroup(destination, group)) }
        try await committed()
        return count
    }

    package func drop(_ ids: [String]?, of destination: Destination, group: ConsumerGroup) async throws(BinderError) -> Int {
        try await whenOpen()
        let positions = try ids.map(Self.positions)
        let count = try withGroup(group, of: destination) { group, _, _ in group.drop(positions) }
        try await committed()
        return count
    }

    static func positions(_ ids: [String]) throws(BinderError) -> [UInt64] {
        var positions: [UInt64] = []
        for id in ids {
            guard let position = UInt64(id) else { throw BinderError(.invalid, "\(id.prefix(40)) is not the id of a dead letter") }
            positions.append(position)
        }
        return positions
    }

    func withGroup<T: Sendable>(
        _ group: ConsumerGroup, of destination: Destination, _ body: (inout GroupState, EventLog, inout [HandOut]) -> T
    ) throws(BinderError) -> T {
        let (result, wakes) = state.withLock { state -> (T?, Wakes) in
            guard let index = state.broker.index(of: group, in: destination) else { return (nil, []) }
            var out: [HandOut] = []
            let result = state.broker.withGroup(index.group, of: index.destination) { group, log in body(&group, log, &out) }
            return (result, state.wakes(for: out))
        }
        for (waiter, wake) in wakes { waiter.resume(returning: wake) }
        guard let result else {
            throw BinderError(
                .invalid, "the embedded broker knows no group \(group) of \(destination); a subscription or `prepare` creates it")
        }
        return result
    }

    func report(to metrics: Metrics) {
        let (counts, backlogs) = state.withLock { state in
            let now = BrokerClock.wall
            var backlogs: [(String, String, Backlog)] = []
            for destination in state.broker.destinations {
                for case let group? in destination.groups {
                    if let name = group.name { backlogs.append((destination.name, name, group.backlog(destination.log, now: now))) }
                }
            }
            return (state.counts.take(), backlogs)
        }
        counts.report(to: metrics)
        for (destination, group, backlog) in backlogs {
            for (state, value) in [
                ("ready", backlog.ready), ("inHand", backlog.inHand ?? 0), ("delayed", backlog.delayed ?? 0),
                ("dead", backlog.dead ?? 0),
            ] {
                metrics.gauge(
                    "carillon_local_backlog_events", ["destination": destination, "group": group, "state": state], Double(value),
                    help: "Events of a group of the embedded broker by state.")
            }
        }
    }
}

extension LocalBinder: DeadLetterListing {
    package func groupsWithDeadLetters() async throws(BinderError) -> [DeadLetterGroup] {
        try await whenOpen()
        let counts = state.withLock { state in
            state.broker.destinations.flatMap { destination in
                destination.groups.compactMap { group -> (String, String, Int)? in
                    guard let group, let name = group.name, !group.dead.isEmpty else { return nil }
                    return (destination.name, name, group.dead.count)
                }
            }
        }
        var groups: [DeadLetterGroup] = []
        for (destination, group, count) in counts.sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) {
            groups.append(
                DeadLetterGroup(destination: try Destination(destination), group: try ConsumerGroup(group), count: count))
        }
        return groups
    }
}

extension LocalBinder: PositionTelling {
    package func latestPosition(of destination: Destination) async throws(BinderError) -> String? {
        try await whenOpen()
        return state.withLock { state in
            let next = state.broker.index(of: destination).map { state.broker.destinations[$0].log.next } ?? 1
            return state.broker.text(of: next - 1)
        }
    }
}
