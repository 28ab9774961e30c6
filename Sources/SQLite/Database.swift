internal import CSQLite
internal import Glibc

/// One SQLite connection: used from one thread only (a `ThreadExecutor`'s), since every call may block on the disk.
package final class Database {
    /// How much survives.
    package enum Durability: Sendable, Hashable {
        /// Every commit survives `kill -9` and a loss of power (WAL, one fsync a commit).
        case powerLoss
        /// Every commit survives `kill -9`; a loss of power may take the last ones (WAL, no fsync at commit).
        case kill
    }

    /// The file's path, or `:memory:`.
    package let file: String
    private let handle: OpaquePointer
    private var statements: [String: Statement] = [:]
    private var depth = 0

    /// Opens the file, creating it readable for its owner only. With `exclusive` no other connection can have it open at the same time: throws
    /// `.busy` when one has.
    package init(file: String, durability: Durability = .powerLoss, exclusive: Bool = false) throws(SQLiteError) {
        self.file = file
        if file != ":memory:" {
            let descriptor = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw SQLiteError(result: SQLITE_CANTOPEN, message: "cannot be opened: \(String(cString: strerror(errno)))", file: file)
            }
            close(descriptor)
        }
        var opened: OpaquePointer?
        let result = sqlite3_open_v2(file, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
        guard let opened else { throw SQLiteError(result: result, message: "no memory to open it", file: file) }
        handle = opened
        guard result == SQLITE_OK else {
            let error = SQLiteError(result: result, message: String(cString: sqlite3_errmsg(opened)), file: file)
            sqlite3_close_v2(opened)
            throw error
        }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, exclusive ? 0 : 5000)
        if exclusive { try execute("PRAGMA locking_mode=EXCLUSIVE") }
        try execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=\(durability == .powerLoss ? "FULL" : "NORMAL"); PRAGMA foreign_keys=ON")
        if exclusive { try execute("BEGIN IMMEDIATE; COMMIT") }  // takes the lock now rather than at the first write
    }

    deinit {
        statements = [:]
        sqlite3_close_v2(handle)
    }

    /// Runs statements that give no rows of interest, separated by `;`.
    package func execute(_ sql: String) throws(SQLiteError) {
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw error(result) }
    }

    /// The statement for this text, prepared at its first use and kept. It must have no rows left to read from an earlier use.
    package func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let known = statements[sql] { return known }
        let made = try Statement(sql, in: self, handle: handle)
        statements[sql] = made
        return made
    }

    /// Runs `body` in a transaction: committed when it returns, taken back when it throws. Transactions do not nest: an inner one is part of
    /// the outer.
    package func transaction<T>(_ body: () throws -> T) throws -> T {
        guard depth == 0 else { return try body() }
        try execute("BEGIN IMMEDIATE")
        depth += 1
        defer { depth -= 1 }
        do {
            let value = try body()
            try execute("COMMIT")
            return value
        } catch {
            try? execute("ROLLBACK")
            throw error
        }
    }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    package var changes: Int { Int(sqlite3_changes64(handle)) }

    func error(_ result: Int32) -> SQLiteError {
        SQLiteError(
            result: sqlite3_extended_errcode(handle) & 0xFF == result & 0xFF ? sqlite3_extended_errcode(handle) : result,
            message: String(cString: sqlite3_errmsg(handle)), file: file)
    }
}
