package import Foundation
import Locking

/// A private redis-server on loopback with its own port and data, with every write in its log (`appendonly yes`).
///
/// A shell is its parent and kills it when its standard input ends, so that it dies with the test process however that ends.
package final class RedisServer: Sendable {
    private struct Running {
        var shell: SpawnedProcess
        var input: Pipe
        var process: pid_t
    }
    package let port: Int
    package let folder: URL
    private let arguments: [String]
    private let running = Locked<Running?>(nil)

    package static let isInstalled = FileManager.default.isExecutableFile(atPath: server)
    /// For `.enabled(if:)`.
    package static let whyNot = "redis-server is not installed: apt-get install redis-server"

    private static let server = "/usr/bin/redis-server"
    private static let client = "/usr/bin/redis-cli"
    private static let common = Locked<Result<RedisServer, any Error>?>(nil)
    private static let starting = NSLock()

    package var uri: String { "redis://127.0.0.1:\(port)/0" }

    /// The server that suites of this process share; started at the first call, stopped when the process ends. Whoever stops, fills or flushes
    /// one takes one of its own.
    package static func shared() async throws -> RedisServer {
        try await onThread {
            starting.lock()  // one start, however many suites ask at once
            defer { starting.unlock() }
            if let known = common.withLock({ $0 }) { return try known.get() }
            let result = Result { try launched([]) }
            common.withLock { $0 = result }
            atexit { if case .success(let server)? = RedisServer.common.withLock({ $0 }) { server.remove() } }
            return try result.get()
        }
    }

    /// Runs `body` with a server of its own and removes it afterwards. `arguments` are further settings: `["--maxmemory", "8mb"]`.
    package static func with<R: Sendable>(_ arguments: [String] = [], _ body: (RedisServer) async throws -> R) async throws -> R {
        let server = try await onThread { try launched(arguments) }
        let result: Result<R, any Error>
        do { result = .success(try await body(server)) } catch { result = .failure(error) }
        await onThread { server.remove() }
        return try result.get()
    }

    /// A port that was free may be taken before the server has it: then another one.
    private static func launched(_ arguments: [String]) throws -> RedisServer {
        var attempt = 1
        while true {
            let server = try RedisServer(arguments)
            do {
                try server.launch()
                return server
            } catch {
                server.remove()
                if attempt == 3 { throw error }
                attempt += 1
            }
        }
    }

    private init(_ arguments: [String]) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "carillon-redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = freePort()
        self.arguments = arguments
    }

    /// As a crash does; the data stays for `start()`.
    package func kill() async throws { await onThread { self.end() } }
    /// On the same port and data; returns when it answers.
    package func start() async throws { try await onThread { try self.launch() } }
    /// Freezes the process: its sockets stay open and nobody answers.
    package func pause() async throws {
        guard let process = running.withLock({ $0?.process }) else { return }
        try await freeze(process)
    }
    package func resume() {
        if let process = running.withLock({ $0?.process }) { _ = Foundation.kill(process, SIGCONT) }
    }

    /// Runs a command with redis-cli and returns what it printed.
    @discardableResult
    package func command(_ words: String...) async throws -> String { try await command(words) }

    @discardableResult
    package func command(_ words: [String]) async throws -> String { try await onThread { try self.cli(words) } }

    private func launch() throws {
        let shell = SpawnedProcess()
        let (input, output) = (Pipe(), Pipe())
        shell.executableURL = URL(filePath: "/bin/sh")
        let settings =
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.path, "--appendonly", "yes", "--save", "", "--daemonize", "no",
                "--logfile", folder.appending(path: "log").path,
            ] + arguments
        shell.arguments =
            ["-c", "\"$@\" </dev/null >/dev/null 2>&1 & echo $!; read end; kill -KILL $!; wait $!", "sh", Self.server] + settings
        shell.standardInput = input
        shell.standardOutput = output
        shell.standardError = FileHandle.nullDevice
        try shell.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte.first != 10 { line += byte }
        guard let process = pid_t(String(decoding: line, as: UTF8.self)) else { throw RedisServerError(text: "no process: \(line)") }
        running.withLock { $0 = Running(shell: shell, input: input, process: process) }
        let end = Date.now + 120
        while true {
            let answer = (try? cli(["PING"])) ?? ""
            if answer == "PONG" || answer.contains("NOAUTH") { return }
            // It ends at once where a port is taken.
            guard Date.now < end, Foundation.kill(process, 0) == 0 else {
                let log = (try? String(contentsOf: folder.appending(path: "log"), encoding: .utf8)) ?? ""
                throw RedisServerError(text: "redis-server does not answer: \(answer) \(log.suffix(500))")
            }
            usleep(20_000)
        }
    }

    private func end() {
        guard
            let running = running.withLock({ running in
                defer { running = nil }
                return running
            })
        else { return }
        try? running.input.fileHandleForWriting.close()
        running.shell.waitUntilExit()
    }

    private func remove() {
        end()
        try? FileManager.default.removeItem(at: folder)
    }

    private func cli(_ words: [String]) throws -> String {
        let process = SpawnedProcess()
        process.executableURL = URL(filePath: Self.client)
        process.arguments = ["-p", "\(port)"] + words
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

package struct RedisServerError: Error, CustomStringConvertible {
    let text: String
    package var description: String { text }
}
