internal import CSQLite

/// One prepared statement. Bind, step, read, reset; made and kept by its `Database`, used on the same thread.
package final class Statement {
    private let handle: OpaquePointer
    private unowned let database: Database

    init(_ sql: String, in database: Database, handle connection: OpaquePointer) throws(SQLiteError) {
        var prepared: OpaquePointer?
        let result = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard result == SQLITE_OK, let prepared else { throw database.error(result == SQLITE_OK ? SQLITE_MISUSE : result) }
        handle = prepared
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: Binding; parameters count from 1

    package func bind(_ index: Int, _ value: Int64?) throws(SQLiteError) {
        try check(value.map { sqlite3_bind_int64(handle, Int32(index), $0) } ?? sqlite3_bind_null(handle, Int32(index)))
    }

    package func bind(_ index: Int, _ value: Int) throws(SQLiteError) { try bind(index, Int64(value)) }

    package func bind(_ index: Int, _ value: Double) throws(SQLiteError) { try check(sqlite3_bind_double(handle, Int32(index), value)) }

    package func bind(_ index: Int, _ value: String?) throws(SQLiteError) {
        guard var text = value else { return try check(sqlite3_bind_null(handle, Int32(index))) }
        let result = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                // An empty buffer may have no address, which SQLite would take for NULL.
                sqlite3_bind_text64(
                    handle, Int32(index), characters.baseAddress ?? Self.empty, UInt64(characters.count), carillon_sqlite_transient(),
                    UInt8(SQLITE_UTF8))
            }
        }
        try check(result)
    }

    package func bind(_ index: Int, _ value: [UInt8]?) throws(SQLiteError) {
        guard let value else { return try check(sqlite3_bind_null(handle, Int32(index))) }
        let result = value.withUnsafeBytes { bytes in
            bytes.isEmpty
                ? sqlite3_bind_zeroblob(handle, Int32(index), 0)
                : sqlite3_bind_blob64(handle, Int32(index), bytes.baseAddress, UInt64(bytes.count), carillon_sqlite_transient())
        }
        try check(result)
    }

    // One constant byte for the life of the process.
    private nonisolated(unsafe) static let empty: UnsafePointer<CChar> = {
        let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        byte.initialize(to: 0)
        return UnsafePointer(byte)
    }()

    // MARK: Running

    /// Goes to the next row. False when there is none; the statement is then reset.
    package func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            reset()
            return false
        case let result:
            let error = database.error(result)
            reset()
            throw error
        }
    }

    /// Runs a statement that gives no rows.
    package func run() throws(SQLiteError) {
        while try step() {}
    }

    /// Forgets rows and bound values.
    package func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    // MARK: Reading the current row; columns count from 0

    package func isNull(_ column: Int) -> Bool { sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL }
    package func integer(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }
    package func real(_ column: Int) -> Double { sqlite3_column_double(handle, Int32(column)) }
    package func optionalInteger(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }

    /// Nil for NULL; bytes that are not UTF-8 are mended.
    package func text(_ column: Int) -> String? {
        guard let bytes = sqlite3_column_text(handle, Int32(column)) else { return nil }
        let count = Int(sqlite3_column_bytes(handle, Int32(column)))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// Nil for NULL.
    package func blob(_ column: Int) -> [UInt8]? {
        guard !isNull(column) else { return nil }
        guard let bytes = sqlite3_column_blob(handle, Int32(column)) else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, Int32(column)))))
    }

    private func check(_ result: Int32) throws(SQLiteError) { if result != SQLITE_OK { throw database.error(result) } }
}
