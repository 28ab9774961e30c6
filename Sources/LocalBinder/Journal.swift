internal import Glibc
internal import SQLite
internal import Streams

/// What one commit writes.
struct JournalBatch: Sendable {
    struct Event: Sendable {
        let destination: Int
        let position: UInt64
        let stored: StoredEnvelope
        let lane: UInt64
        let size: Int
        let time: Int64
    }
    struct Group: Sendable {
        let destination: Int
        /// Index in the broker, to mark it again when the commit fails.
        let index: Int
        let name: String
        let cursor: UInt64
        let changes: [(position: UInt64, change: GroupState.Change)]
    }
    struct Trim: Sendable {
        let destination: Int
        let from: UInt64
        let first: UInt64
    }

    /// Names of the destinations that the file does not know yet, in their order.
    var destinations: [String] = []
    var groups: [Group] = []
    var events: [Event] = []
    var trims: [Trim] = []

    var isEmpty: Bool { destinations.isEmpty && groups.isEmpty && events.isEmpty && trims.isEmpty }
}

/// The durable log: one SQLite file in a folder, owned by this process alone.
final class Journal: @unchecked Sendable {  // made, used and closed on one thread only: the binder's `ThreadExecutor`
    private let folder: String
    private var database: Database?
    private var groupIDs: [String: Int64] = [:]
    /// First positions as the file knows them, by destination.
    private var firsts: [UInt64] = []
    private static let version: Int64 = 1

    init(folder: String) { self.folder = folder }

    private var file: String { "\(folder)/streams.sqlite" }

    /// Opens or creates the file and reads what it holds.
    func open(limits: LocalLimits) throws(BinderError) -> LocalBroker {
        do {
            try makeFolder(folder)
            let database = try Database(file: file, durability: .powerLoss, exclusive: true)
            self.database = database
            return try load(from: database, limits: limits)
        } catch let error as SQLiteError {
            database = nil
            throw Self.binderError(error)
        } catch let error as BinderError {
            database = nil
            throw error
        } catch {
            database = nil
            throw BinderError(.broken, "\(file): \(error)")
        }
    }

    func close() { database = nil }

    private func makeFolder(_ path: String) throws(BinderError) {
        for end in path.indices where path[end] == "/" && end > path.startIndex { mkdir(String(path[..<end]), 0o700) }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            let reason = String(cString: strerror(errno))
            throw BinderError(.refused, "the data folder \(path) cannot be made: \(reason); name another, or give this user the right")
        }
    }

    static func binderError(_ error: SQLiteError) -> BinderError {
        switch error.code {
        case .busy: BinderError(.conflict, "\(error.file) is used by another process; end that one, or name another data folder")
        case .full: BinderError(.blocked, "\(error.file): the disk is full; free some space")
        case .corrupt: BinderError(.broken, "\(error.file) is damaged or of another kind: \(error.message); move it away to begin anew")
        case .cannotOpen, .readOnly: BinderError(.refused, "\(error.file): \(error.message)")
        default: BinderError(.broken, "\(error)")
        }
    }

    // MARK: Loading

    private func load(from database: Database, limits: LocalLimits) throws -> LocalBroker {
        try database.execute(
            """
            CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS destinations(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, first INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS groups(
                id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, name TEXT NOT NULL, cursor INTEGER NOT NULL, UNIQUE(destination, name));
            CREATE TABLE IF NOT EXISTS events(
                seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, size INTEGER NOT NULL, time INTEGER NOT NULL, id TEXT NOT NULL, type TEXT,
                key TEXT, timestamp INTEGER, headers BLOB, payload BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS held(
                seq INTEGER NOT NULL, grp INTEGER NOT NULL, dead INTEGER NOT NULL, attempt INTEGER NOT NULL, due INTEGER, time INTEGER,
                kind TEXT, message TEXT, PRIMARY KEY(seq, grp)) WITHOUT ROWID;
            """)
        let epoch = try identity(of: database)
        var broker = LocalBroker(limits: limits, epoch: epoch, durable: true)
        let destinations = try database.statement("SELECT id, name, first FROM destinations ORDER BY id")
        while try destinations.step() {
            let first = UInt64(clamping: destinations.integer(2))
            guard destinations.integer(0) == Int64(firsts.count + 1), first > 0 else {
                throw BinderError(.broken, "\(file): its destinations are not numbered in order; move the file away to begin anew")
            }
            broker.restore(destination: destinations.text(1) ?? "", first: first)
            firsts.append(first)
        }
        // Rows before a destination's first position are there for those who hold them, and come with `held`.
        let events = try database.statement("SELECT seq, lane, size, time FROM events ORDER BY seq")
        while try events.step() {
            let (destination, position) = Self.parts(of: events.integer(0))
            guard firsts.indices.contains(destination), position >= firsts[destination] else { continue }
            guard broker.destinations[destination].log.next == position else {
                throw BinderError(
                    .broken,
                    "\(file): event \(position) of \(broker.destinations[destination].name) follows a hole; move the file away to begin anew"
                )
            }
            broker.restore(
                entryOf: destination, lane: UInt64(bitPattern: events.integer(1)), size: Int(events.integer(2)), time: events.integer(3))
        }
        try loadGroups(from: database, into: &broker)
        return broker
    }

    private func identity(of database: Database) throws -> String {
        let select = try database.statement("SELECT value FROM meta WHERE name = ?")
        try select.bind(1, "version")
        if try select.step() {
            let version = select.integer(0)
            select.reset()
            guard version == Self.version else {
                throw BinderError(
                    .broken, "\(file) is of version \(version), this program reads \(Self.version); use the program that wrote it")
            }
        }
        try database.transaction {
            let insert = try database.statement("INSERT OR IGNORE INTO meta VALUES(?, ?)")
            try insert.bind(1, "version")
            try insert.bind(2, Self.version)
            try insert.run()
            try insert.bind(1, "epoch")
            try insert.bind(2, String(Identifier.random().prefix(6)))
            try insert.run()
        }
        try select.bind(1, "epoch")
        guard try select.step(), let epoch = select.text(0) else { throw BinderError(.broken, "\(file) has no epoch; move the file away") }
        select.reset()
        return epoch
    }

    private func loadGroups(from database: Database, into broker: inout LocalBroker) throws {
        var places: [Int64: (destination: Int, group: Int)] = [:]
        let groups = try database.statement("SELECT id, destination, name, cursor FROM groups ORDER BY id")
        while try groups.step() {
            let destination = Int(groups.integer(1)) - 1
            guard firsts.indices.contains(destination), let name = groups.text(2) else { continue }
            let group = broker.restore(group: name, in: destination, cursor: UInt64(clamping: groups.integer(3)))
            places[groups.integer(0)] = (destination, group)
            groupIDs[Self.key(destination, name)] = groups.integer(0)
        }
        let steady = BrokerClock.steady
        let wall = BrokerClock.wall
        let held = try database.statement(
            """
            SELECT h.seq, h.grp, h.dead, h.attempt, h.due, h.time, h.kind, h.message, e.lane, e.size, e.time
            FROM held h JOIN events e ON e.seq = h.seq ORDER BY h.seq
            """)
        while try held.step() {
            guard let place = places[held.integer(1)] else { continue }
            let position = Self.parts(of: held.integer(0)).position
            let lane = UInt64(bitPattern: held.integer(8))
            let size = Int(held.integer(9))
            let attempt = Int(held.integer(3))
            _ = broker.withGroup(place.group, of: place.destination) { group, _ in
                if held.integer(2) == 0 {
                    let entry = LogEntry(stored: nil, lane: lane, start: 0, size: size, time: held.integer(10))
                    let due = held.optionalInteger(4).map { steady + max(0, $0 - wall) }
                    group.restore(entry, at: position, attempt: attempt, due: due)
                } else {
                    let reason = FailureReason(message: held.text(7) ?? "", kind: held.text(6) ?? "")
                    group.restore(
                        GroupState.DeadRecord(
                            stored: nil, lane: lane, size: size, reason: reason, attempts: attempt, time: held.integer(5)),
                        at: position)
                }
            }
        }
        for place in places.values { _ = broker.withGroup(place.group, of: place.destination) { group, _ in group.restored() } }
    }

    // MARK: Reading

    /// The envelope at a position; nil when the file no longer has it.
    func read(_ position: UInt64, of destination: Int) throws(BinderError) -> StoredEnvelope? {
        guard let database else { throw Self.closed }
        do {
            let select = try database.statement("SELECT id, type, key, timestamp, headers, payload FROM events WHERE seq = ?")
            defer { select.reset() }
            try select.bind(1, Self.sequence(destination, position))
            guard try select.step() else { return nil }
            guard let headers = try? HeaderCodec.decode(select.blob(4)) else {
                throw BinderError(.broken, "\(file): the headers of event \(position) cannot be read")
            }
            return StoredEnvelope(
                Envelope(
                    id: select.text(0) ?? "", payload: select.blob(5) ?? [], contentType: select.text(1), headers: headers,
                    key: select.text(2), timestamp: select.optionalInteger(3)))
        } catch let error as SQLiteError { throw Self.binderError(error) } catch let error as BinderError { throw error } catch {
            throw BinderError(.broken, "\(error)")
        }
    }

    // MARK: Writing

    /// Writes all of it or nothing; returns when the disk has it.
    func write(_ batch: JournalBatch) throws(BinderError) {
        guard let database else { throw Self.closed }
        var newGroups: [String: Int64] = [:]
        var newFirsts = firsts
        do {
            try database.transaction {
                try write(destinations: batch.destinations, to: database, &newFirsts)
                try write(events: batch.events, to: database)
                for group in batch.groups { try write(group, to: database, &newGroups) }
                for trim in batch.trims { try write(trim, to: database, &newFirsts) }
            }
        } catch let error as SQLiteError { throw Self.binderError(error) } catch { throw BinderError(.broken, "\(file): \(error)") }
        groupIDs.merge(newGroups) { $1 }
        firsts = newFirsts
    }

    private func write(destinations: [String], to database: Database, _ firsts: inout [UInt64]) throws {
        guard !destinations.isEmpty else { return }
        let insert = try database.statement("INSERT INTO destinations(id, name, first) VALUES(?, ?, 1)")
        for name in destinations {
            firsts.append(1)
            try insert.bind(1, firsts.count)
            try insert.bind(2, name)
            try insert.run()
        }
    }

    private func write(events: [JournalBatch.Event], to database: Database) throws {
        guard !events.isEmpty else { return }
        let insert = try database.statement("INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for event in events {
            let envelope = event.stored.envelope
            try insert.bind(1, Self.sequence(event.destination, event.position))
            try insert.bind(2, Int64(bitPattern: event.lane))
            try insert.bind(3, event.size)
            try insert.bind(4, event.time)
            try insert.bind(5, envelope.id)
            try insert.bind(6, envelope.contentType)
            try insert.bind(7, envelope.key)
            try insert.bind(8, envelope.timestamp)
            try insert.bind(9, HeaderCodec.encode(envelope.headers))
            try insert.bind(10, envelope.payload)
            try insert.run()
        }
    }

    private func write(_ group: JournalBatch.Group, to database: Database, _ newGroups: inout [String: Int64]) throws {
        let key = Self.key(group.destination, group.name)
        let id = groupIDs[key] ?? newGroups[key] ?? Int64(groupIDs.count + newGroups.count + 1)
        if groupIDs[key] == nil { newGroups[key] = id }
        let upsert = try database.statement("INSERT INTO groups VALUES(?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET cursor = excluded.cursor")
        try upsert.bind(1, id)
        try upsert.bind(2, group.destination + 1)
        try upsert.bind(3, group.name)
        try upsert.bind(4, Int64(group.cursor))
        try upsert.run()
        let delay = BrokerClock.wall - BrokerClock.steady
        for (position, change) in group.changes {
            let sequence = Self.sequence(group.destination, position)
            switch change {
            case .gone:
                let delete = try database.statement("DELETE FROM held WHERE seq = ? AND grp = ?")
                try delete.bind(1, sequence)
                try delete.bind(2, id)
                try delete.run()
                if position < firsts[safe: group.destination] ?? 1 { try deleteUnheld(from: sequence, to: sequence, in: database) }
            case .outstanding(let attempt, let due):
                try hold(sequence, id, dead: false, attempt: attempt, due: due.map { $0 + delay }, time: nil, reason: nil, in: database)
            case .dead(let record):
                try hold(
                    sequence, id, dead: true, attempt: record.attempts, due: nil, time: record.time, reason: record.reason, in: database)
            }
        }
    }

    private func hold(
        _ sequence: Int64, _ group: Int64, dead: Bool, attempt: Int, due: Int64?, time: Int64?, reason: FailureReason?,
        in database: Database
    ) throws {
        let upsert = try database.statement("INSERT OR REPLACE INTO held VALUES(?, ?, ?, ?, ?, ?, ?, ?)")
        try upsert.bind(1, sequence)
        try upsert.bind(2, group)
        try upsert.bind(3, dead ? 1 : 0)
        try upsert.bind(4, attempt)
        try upsert.bind(5, due)
        try upsert.bind(6, time)
        try upsert.bind(7, reason?.kind)
        try upsert.bind(8, reason?.message)
        try upsert.run()
    }

    private func write(_ trim: JournalBatch.Trim, to database: Database, _ firsts: inout [UInt64]) throws {
        let update = try database.statement("UPDATE destinations SET first = ? WHERE id = ?")
        try update.bind(1, Int64(trim.first))
        try update.bind(2, trim.destination + 1)
        try update.run()
        firsts[trim.destination] = trim.first
        try deleteUnheld(
            from: Self.sequence(trim.destination, trim.from), to: Self.sequence(trim.destination, trim.first - 1), in: database)
    }

    private func deleteUnheld(from: Int64, to: Int64, in database: Database) throws {
        let delete = try database.statement(
            "DELETE FROM events WHERE seq BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM held WHERE held.seq = events.seq)")
        try delete.bind(1, from)
        try delete.bind(2, to)
        try delete.run()
    }

    // MARK: Numbers

    /// Destination and position in one number, so that the events of a destination lie together in their order.
    private static func sequence(_ destination: Int, _ position: UInt64) -> Int64 { Int64(destination) << 44 + Int64(position) }
    private static func parts(of sequence: Int64) -> (destination: Int, position: UInt64) {
        (Int(sequence >> 44), UInt64(sequence & (1 << 44 - 1)))
    }
    private static func key(_ destination: Int, _ group: String) -> String { "\(destination)/\(group)" }

    private static let closed = BinderError(.closed, "the durable log is closed: the process is ending, or it could not be opened")
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
