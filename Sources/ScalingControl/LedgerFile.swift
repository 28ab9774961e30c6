internal import Autoscaler
internal import Files
internal import Foundation
internal import SQLite

/// The ledger's file: a log of batches, each in one row, and snapshots. Kept in the order of time, so that writing is appending however many
/// policies there are.
final class LedgerFile: @unchecked Sendable {  // made, used and closed on one thread only: the ledger's `ThreadExecutor`
    private static let version: Int64 = 1
    enum Kind { static let decisions = 0, results = 1 }

    /// Nil: in memory.
    let folder: String?
    var database: Database?
    var numbers: [String: Int] = [:]
    var names: [String] = []
    private let encoder = JSONEncoder()
    let decoder = JSONDecoder()

    init(folder: String?) { self.folder = folder }

    var file: String { folder.map { $0 + "/ledger.sqlite" } ?? ":memory:" }

    func open(boot: String) throws -> (images: [String: LedgerImage], term: Int, sameBoot: Bool) {
        do {
            if let folder { try PrivateFile.makeFolder(folder) }
            let database = try Database(file: file, durability: .kill, exclusive: folder != nil)
            self.database = database
            try database.execute(
                """
                CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS policies(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, time REAL NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL);
                CREATE TABLE IF NOT EXISTS snapshots(
                    policy INTEGER NOT NULL, seq INTEGER NOT NULL, behind INTEGER NOT NULL, term INTEGER NOT NULL, time REAL NOT NULL,
                    state BLOB NOT NULL, shadow BLOB, PRIMARY KEY(policy, seq));
                CREATE TABLE IF NOT EXISTS overrides(policy INTEGER PRIMARY KEY, kind INTEGER NOT NULL, count INTEGER NOT NULL, until REAL NOT NULL);
                """)
            let version = try meta("version", in: database) ?? Self.version
            guard version == Self.version else {
                throw LedgerError("\(file) is of version \(version), this program reads \(Self.version); use the program that wrote it")
            }
            try set("version", Self.version, in: database)
            let select = try database.statement("SELECT id, name FROM policies ORDER BY id")
            while try select.step() {
                names.append(select.text(1) ?? "")
                numbers[select.text(1) ?? ""] = Int(select.integer(0))
            }
            let sameBoot = try takeOver(boot: boot, in: database)
            return (try images(in: database), Int(try meta("term", in: database) ?? 0), sameBoot)
        } catch {
            database = nil
            throw explained(error)
        }
    }

    func close() { database = nil }

    func explained(_ error: any Error) -> LedgerError {
        guard let error = error as? SQLiteError else { return error as? LedgerError ?? LedgerError("\(file): \(error)") }
        switch error.code {
        case .busy: return LedgerError("\(file) is used by another process; end that one, or name another data folder")
        case .full: return LedgerError("\(file): the disk is full; free some space")
        case .corrupt: return LedgerError("\(file) is damaged: \(error.message); move it away to begin anew")
        default: return LedgerError("\(error)")
        }
    }

    func open() throws -> Database {
        guard let database else { throw LedgerError("\(file) is closed") }
        return database
    }

    private func meta(_ name: String, in database: Database) throws -> Int64? {
        let select = try database.statement("SELECT value FROM meta WHERE name = ?")
        defer { select.reset() }
        try select.bind(1, name)
        return try select.step() ? select.optionalInteger(0) : nil
    }

    private func set(_ name: String, _ value: Int64, in database: Database) throws {
        let insert = try database.statement("INSERT OR REPLACE INTO meta VALUES(?, ?)")
        try insert.bind(1, name)
        try insert.bind(2, value)
        try insert.run()
    }

    private func takeOver(boot: String, in database: Database) throws -> Bool {
        let select = try database.statement("SELECT value FROM meta WHERE name = 'boot'")
        let known = try select.step() ? select.text(0) : nil
        select.reset()
        let insert = try database.statement("INSERT OR REPLACE INTO meta VALUES('boot', ?)")
        try insert.bind(1, boot)
        try insert.run()
        return known == boot
    }

    private func number(of policy: String, in database: Database) throws -> Int {
        if let number = numbers[policy] { return number }
        let insert = try database.statement("INSERT INTO policies(id, name) VALUES(?, ?)")
        try insert.bind(1, names.count + 1)
        try insert.bind(2, policy)
        try insert.run()
        names.append(policy)
        numbers[policy] = names.count
        return names.count
    }

    // MARK: Writing

    /// All or nothing.
    func write(_ entries: [LedgerEntry], at time: Seconds) throws {
        let (knownNumbers, knownNames) = (numbers, names)
        do {
            let database = try open()
            try database.transaction {
                var decisions: [UInt8] = []
                var results: [UInt8] = []
                // First: a snapshot does not hold the decisions that come with it.
                for case .snapshot(let snapshot) in entries { try write(snapshot, to: database) }
                for entry in entries {
                    switch entry {
                    case .decision(let record):
                        for number in [try number(of: record.policy, in: database), record.seq, record.term] {
                            ObservationCodec.append(UInt64(max(0, number)), to: &decisions)
                        }
                        ObservationCodec.append(record.instant, to: &decisions)
                        ObservationCodec.append(record.observation, to: &decisions)
                    case .result(let policy, let seq, let text):
                        for number in [try number(of: policy, in: database), seq] {
                            ObservationCodec.append(UInt64(max(0, number)), to: &results)
                        }
                        ObservationCodec.append(text, to: &results)
                    case .override(let policy, let override): try write(override, of: number(of: policy, in: database), to: database)
                    case .term(let term): try set("term", Int64(term), in: database)
                    case .rewind(let policy, let seq):
                        let delete = try database.statement("DELETE FROM snapshots WHERE policy = ? AND seq >= ?")
                        try delete.bind(1, try number(of: policy, in: database))
                        try delete.bind(2, seq)
                        try delete.run()
                    case .snapshot: break
                    }
                }
                try log(decisions, Kind.decisions, time, in: database)
                try log(results, Kind.results, time, in: database)
            }
        } catch {
            (numbers, names) = (knownNumbers, knownNames)
            throw explained(error)
        }
    }

    private func log(_ body: [UInt8], _ kind: Int, _ time: Seconds, in database: Database) throws {
        guard !body.isEmpty else { return }
        let insert = try database.statement("INSERT INTO log(time, kind, body) VALUES(?, ?, ?)")
        try insert.bind(1, time)
        try insert.bind(2, kind)
        try insert.bind(3, body)
        try insert.run()
    }

    private func write(_ override: Override?, of policy: Int, to database: Database) throws {
        guard let override else {
            let delete = try database.statement("DELETE FROM overrides WHERE policy = ?")
            try delete.bind(1, policy)
            return try delete.run()
        }
        let insert = try database.statement("INSERT OR REPLACE INTO overrides VALUES(?, ?, ?, ?)")
        try insert.bind(1, policy)
        try insert.bind(2, override.count == nil ? 0 : 1)
        try insert.bind(3, override.count ?? 0)
        try insert.bind(4, override.until)
        try insert.run()
    }

    private func write(_ snapshot: LedgerSnapshot, to database: Database) throws {
        let insert = try database.statement(
            "INSERT OR REPLACE INTO snapshots VALUES(?, ?, (SELECT ifnull(max(id), 0) FROM log), ?, ?, ?, ?)")
        try insert.bind(1, try number(of: snapshot.policy, in: database))
        try insert.bind(2, snapshot.state.seq)
        try insert.bind(3, snapshot.term)
        try insert.bind(4, snapshot.time)
        try insert.bind(5, Array(try encoder.encode(snapshot.state)))
        try insert.bind(6, try snapshot.shadow.map { Array(try encoder.encode($0)) })
        try insert.run()
    }

    /// Forgets what is older, some of it at a time; true when there may be more.
    func forget(before time: Seconds) throws -> Bool {
        do {
            let database = try open()
            var changed = 0
            try database.transaction {
                for table in ["log", "snapshots"] {
                    let key = table == "log" ? "id" : "rowid"
                    // The rows lie in the order of time: the search ends at the first that is kept.
                    let delete = try database.statement(
                        "DELETE FROM \(table) WHERE \(key) IN (SELECT \(key) FROM \(table) ORDER BY \(key) LIMIT 500) AND time < ?")
                    try delete.bind(1, time)
                    try delete.run()
                    changed = max(changed, database.changes)
                }
            }
            return changed == 500
        } catch { throw explained(error) }
    }
}
