import Foundation
import TestSupport

/// A folder for one test, removed at its end.
struct TemporaryFolder {
    let path: String

    static func with<R>(_ body: (TemporaryFolder) async throws -> R) async throws -> R {
        var template = Array((FileManager.default.temporaryDirectory.path + "/carillon-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
        let folder = TemporaryFolder(path: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        return try await body(folder)
    }

    func write(_ name: String, _ text: String) throws {
        let url = URL(fileURLWithPath: path).appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    /// Runs git in a folder below this one and returns what it printed.
    @discardableResult
    func git(in folder: String, _ arguments: String...) throws -> String {
        let process = SpawnedProcess()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/git")
        process.arguments =
            ["-C", path + "/" + folder, "-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
            + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw GitFailed(arguments: arguments) }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Writes files into a repository, made when it is not there, and commits; returns the commit.
    func commit(in folder: String, _ files: [String: String], _ message: String = "Change") throws -> String {
        if !FileManager.default.fileExists(atPath: "\(path)/\(folder)/.git") {
            try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
            try git(in: folder, "init", "-q", "-b", "main")
        }
        for (name, text) in files { try write("\(folder)/\(name)", text) }
        try git(in: folder, "add", "-A")
        try git(in: folder, "commit", "-q", "-m", message)
        return try git(in: folder, "rev-parse", "HEAD")
    }

    struct GitFailed: Error { let arguments: [String] }
}
