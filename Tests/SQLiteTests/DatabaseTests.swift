import SQLite
import Testing
import ThreadExecutor

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct DatabaseTests {
    private func withFolder<R>(_ body: (String) throws -> R) rethrows -> R {
        var template = Array("/tmp/carillon-sqlite-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        defer {
            for name in ["log", "log-wal", "log-shm"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
        return try body(path)
    }

    @Test func `what is bound comes back as it was: numbers, text, bytes, empty ones and nothing`() throws {
        let database = try Database(file: ":memory:")
        try database.execute("CREATE TABLE t(i INTEGER, r REAL, s TEXT, b BLOB)")
        let rows: [(Int64?, Double, String?, [UInt8]?)] = [
            (.max, 0.5, "grüße\0日本", [0, 255, 0]), (.min, -1, "", []), (nil, 0, nil, nil),
        ]
        for (integer, real, text, blob) in rows {
            let insert = try database.statement("INSERT INTO t VALUES(?,?,?,?)")
            try insert.bind(1, integer)
            try insert.bind(2, real)
            try insert.bind(3, text)
            try insert.bind(4, blob)
            try insert.run()
        }
        let select = try database.statement("SELECT * FROM t ORDER BY rowid")
        for (integer, real, text, blob) in rows {
            let found = try select.step()
            #expect(found)
            #expect(select.optionalInteger(0) == integer)
            #expect(select.real(1) == real)
            #expect(select.text(2) == text)
            #expect(select.blob(3) == blob)
        }
        let more = try select.step()
        #expect(!more)
    }

    @Test func `a transaction that throws leaves nothing behind`() throws {
        struct Stop: Error {}
        let database = try Database(file: ":memory:")
        try database.execute("CREATE TABLE t(i INTEGER)")
        #expect(throws: Stop.self) {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES(1)")
                throw Stop()
            }
        }
        try database.transaction { try database.transaction { try database.execute("INSERT INTO t VALUES(2)") } }
        let select = try database.statement("SELECT i FROM t")
        var found: [Int64] = []
        while try select.step() { found.append(select.integer(0)) }
        #expect(found == [2])
    }

    @Test func `errors name the kind and the file`() throws {
        let database = try Database(file: ":memory:")
        try database.execute("CREATE TABLE t(i INTEGER UNIQUE); INSERT INTO t VALUES(1)")
        #expect(throws: SQLiteError.self) { try database.execute("INSERT INTO t VALUES(1)") }
        do { try database.execute("INSERT INTO t VALUES(1)") } catch { #expect(error.code == .constraint) }
        do { _ = try database.statement("SELEKT 1") } catch {
            #expect(error.code == .misuse)
            #expect(error.description.contains("SELEKT"))
        }
        do { _ = try Database(file: "/nowhere/at/all") } catch {
            #expect(error.code == .cannotOpen)
            #expect(error.description.contains("/nowhere/at/all"))
        }
    }

    @Test func `an exclusive file is refused to a second connection, and a file that is no database is called corrupt`() throws {
        try withFolder { folder in
            let first = try Database(file: "\(folder)/log", exclusive: true)
            do {
                _ = try Database(file: "\(folder)/log", exclusive: true)
                Issue.record("a second connection was let in")
            } catch let error as SQLiteError { #expect(error.code == .busy) }
            try first.execute("CREATE TABLE t(i)")
            var status = stat()
            stat("\(folder)/log", &status)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        try withFolder { folder in
            let file = fopen("\(folder)/log", "w")
            for _ in 0..<200 { fputs("this is not a database ", file) }
            fclose(file)
            do {
                _ = try Database(file: "\(folder)/log", exclusive: true)
                Issue.record("a text file was taken for a database")
            } catch let error as SQLiteError { #expect(error.code == .corrupt) }
        }
    }

    @Test func `what was committed is there when the file is opened again`() throws {
        try withFolder { folder in
            do {
                let database = try Database(file: "\(folder)/log", exclusive: true)
                try database.execute("CREATE TABLE t(i); INSERT INTO t VALUES(7)")
            }
            let again = try Database(file: "\(folder)/log", exclusive: true)
            let select = try again.statement("SELECT i FROM t")
            let found = try select.step()
            #expect(found && select.integer(0) == 7)
        }
    }
}
