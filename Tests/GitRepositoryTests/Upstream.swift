import Foundation
import GitRepository
import Locking
import TestSupport

/// A repository made with the `git` command in a temporary folder, with a fixed author and dates.
final class Upstream: Sendable {
    let folder: String
    let path: String
    private let commits = Locked(0)

    init(_ name: String = "origin") throws {
        var template = Array((NSTemporaryDirectory() + "/carillon-git-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw CocoaError(.fileWriteUnknown) }
        folder = String(cString: made)
        path = folder + "/" + name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try git("init", "-q", "-b", "main")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Where mirrors go.
    var data: String { folder + "/data" }

    @discardableResult
    func git(_ arguments: String...) throws -> String {
        let commits = commits.withLock { $0 }
        let environment = [
            "HOME": folder, "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.test", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.test",
            "GIT_AUTHOR_DATE": "\(1_700_000_000 + commits) +0000", "GIT_COMMITTER_DATE": "\(1_700_000_000 + commits) +0000",
        ]
        let command = try Command(["/usr/bin/git", "-C", path, "-c", "gc.auto=0"] + arguments, environment: environment)
        let (status, output) = command.finish()
        guard status == 0 else { throw GitFailed(arguments: arguments, output: output) }
        return output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Writes files (nil removes one), commits them on the branch that is checked out, and returns the commit.
    @discardableResult
    func commit(_ files: [String: String?], _ message: String = "change") throws -> String {
        commits.withLock { $0 += 1 }
        for (name, text) in files {
            let file = URL(fileURLWithPath: path + "/" + name)
            guard let text else {
                try FileManager.default.removeItem(at: file)
                continue
            }
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        try git("add", "-A")
        try git("commit", "-q", "--allow-empty", "-m", message)
        return try git("rev-parse", "HEAD")
    }

    /// Moves the working tree elsewhere, so that nobody finds it.
    func move(to other: String) throws {
        let from = other == path ? path + "-away" : path
        try FileManager.default.moveItem(atPath: from, toPath: other)
    }

    /// Files of packs in all mirrors.
    func packs() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: data).filter { $0.hasSuffix(".pack") }
    }

    /// Folders of all mirrors.
    func mirrors() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: data).map { "\(data)/\($0)/mirror.git" }
    }

    func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }

    struct GitFailed: Error {
        let arguments: [String]
        let output: String
    }
}

/// A `git daemon` on a free port of the loopback, stopped when it is let go.
final class Daemon: Sendable {
    private let command: Command
    let port: UInt16

    /// Of a port that somebody else has taken meanwhile the daemon lets go at once, and another one is tried.
    init(serving folder: String) async throws {
        let environment = [
            "HOME": folder, "PATH": "/usr/bin:/bin", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        ]
        while true {
            let port = UInt16(freePort())
            let command = try Command(
                [
                    "/usr/lib/git-core/git-daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", "--port=\(port)",
                    "--base-path=\(folder)", "--pid-file=\(folder)/daemon.pid", folder,
                ], environment: environment)
            // It writes the file when it listens.
            try await eventually { !command.isAlive || access(folder + "/daemon.pid", F_OK) == 0 && canConnect(to: port) }
            guard command.isAlive else { continue }
            self.port = port
            self.command = command
            return
        }
    }

    func uri(_ name: String = "origin") -> String { "git://127.0.0.1:\(port)/\(name)" }

    func stop() { command.end() }

    deinit { stop() }
}

/// A socket that accepts connections (by the kernel's queue) and never says a word.
final class Listener {
    let descriptor: Int32
    let port: UInt16

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard named else { throw CocoaError(.fileReadUnknown) }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}

private func canConnect(to port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
