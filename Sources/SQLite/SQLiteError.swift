internal import CSQLite

/// What SQLite reports: what kind, in which file, in its own words. Never a bound value.
package struct SQLiteError: Error, Sendable, CustomStringConvertible {
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Base: String, Sendable { case busy, full, disk, corrupt, constraint, readOnly, cannotOpen, misuse, other }
        private let base: Base
        private init(_ base: Base) { self.base = base }
        /// Another process or connection has the file.
        package static let busy = Code(.busy)
        /// The disk or the file's own limit is full.
        package static let full = Code(.full)
        /// Reading or writing failed.
        package static let disk = Code(.disk)
        /// The file is damaged or no database.
        package static let corrupt = Code(.corrupt)
        package static let constraint = Code(.constraint)
        package static let readOnly = Code(.readOnly)
        package static let cannotOpen = Code(.cannotOpen)
        /// The statement is wrong, or used wrongly.
        package static let misuse = Code(.misuse)
        package static let other = Code(.other)
        package var description: String { base.rawValue }

        init(result: Int32) {
            switch result & 0xFF {
            case SQLITE_BUSY, SQLITE_LOCKED: self = .busy
            case SQLITE_FULL: self = .full
            case SQLITE_IOERR, SQLITE_NOMEM: self = .disk
            case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt
            case SQLITE_CONSTRAINT: self = .constraint
            case SQLITE_READONLY, SQLITE_PERM: self = .readOnly
            case SQLITE_CANTOPEN: self = .cannotOpen
            case SQLITE_MISUSE, SQLITE_ERROR, SQLITE_RANGE, SQLITE_MISMATCH: self = .misuse
            default: self = .other
            }
        }
    }

    package let code: Code
    /// SQLite's extended result code.
    package let result: Int32
    package let message: String
    /// The database file; `:memory:` for one in memory.
    package let file: String

    init(result: Int32, message: String, file: String) {
        code = Code(result: result)
        self.result = result
        self.message = message
        self.file = file
    }

    package var description: String { "\(file): \(message) (\(code), \(result))" }
}
