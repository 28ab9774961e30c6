import Foundation
import Locking

/// A Kafka cluster of the tests' own, started on demand by the script that the project's workspace has beside the repository, or one that
/// `$CARILLON_KAFKA` names.
package final class KafkaServer: Sendable {
    /// `127.0.0.1:20000,…`
    package let bootstrap: String
    /// Nil: a cluster that others run.
    private let folder: URL?

    private static var given: String? {
        ProcessInfo.processInfo.environment["CARILLON_KAFKA"].flatMap { $0.isEmpty ? nil : $0 }
    }
    private static let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../shared/kafka/kafka")
        .standardized
    private static var found: URL? {
        // A working copy of Git may lie one folder deeper.
        let deeper = script.deletingLastPathComponent().appending(path: "../../../shared/kafka/kafka").standardized
        return [script, deeper].first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }
    /// Whether tests that only use a broker can run.
    package static var isAvailable: Bool { given != nil || found != nil }
    /// Whether tests that start, stop and freeze brokers can run.
    package static var canStart: Bool { found != nil }
    /// For `.enabled(if:)`.
    package static let whyNot =
        "no Kafka: set CARILLON_KAFKA=host:port,… of running brokers, or put a start script at ../shared/kafka/kafka beside the repository"

    private static let common = Locked<[String: Result<KafkaServer, any Error>]>([:])
    private static let starting = NSLock()

    /// The cluster of that name that suites of this process share; started at the first call, stopped when the process ends. Tests that stop
    /// or break a broker share one of another name, and run one after the other.
    package static func shared(_ name: String = "common", nodes: Int = 1, settings: [String] = []) async throws -> KafkaServer {
        try await onThread {
            starting.lock()  // one start, however many suites ask at once
            defer { starting.unlock() }
            if let known = common.withLock({ $0[name] }) { return try known.get() }
            let result = Result { () throws -> KafkaServer in
                if name == "common", let given { return KafkaServer(bootstrap: given, folder: nil) }
                return try start(nodes: nodes, settings: settings)
            }
            let first = common.withLock { common in
                common[name] = result
                return common.count == 1
            }
            if first { atexit { KafkaServer.stopShared() } }
            return try result.get()
        }
    }

    private init(bootstrap: String, folder: URL?) {
        self.bootstrap = bootstrap
        self.folder = folder
    }

    /// Three tries: one cluster in 64 gets a random id that begins with `-`, which Kafka's own tool then takes for an option.
    private static func start(nodes: Int, settings: [String]) throws -> KafkaServer {
        for _ in 1...2 { if let server = try? startOnce(nodes: nodes, settings: settings) { return server } }
        return try startOnce(nodes: nodes, settings: settings)
    }

    private static func startOnce(nodes: Int, settings: [String]) throws -> KafkaServer {
        let template = FileManager.default.temporaryDirectory.appending(path: "carillon-kafka-XXXXXX").path
        var name = Array(template.utf8CString)
        guard mkdtemp(&name) != nil else { throw KafkaServerError(text: "no temporary folder: errno \(errno)") }
        let folder = URL(filePath: String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        let data = folder.appending(path: "data")
        do {
            let bootstrap = try run(
                ["start", "--port", "0", "--nodes", "\(nodes)", "--dir", data.path] + settings.flatMap { ["--set", $0] })
            try watch(folder)
            return KafkaServer(bootstrap: bootstrap, folder: folder)
        } catch {
            _ = try? run(["stop", "--kill", "--dir", data.path])
            try? FileManager.default.removeItem(at: folder)
            throw error
        }
    }

    /// Ends the brokers when this process has ended without doing so itself, by a crash say.
    private static func watch(_ folder: URL) throws {
        let watcher = SpawnedProcess()
        watcher.executableURL = URL(filePath: "/bin/bash")
        let text = """
            while kill -0 \(getpid()) 2>/dev/null && [ -d "$1" ]; do sleep 2; done
            for file in "$1"/data/*/pid; do [ -s "$file" ] && kill -KILL "$(cat "$file")" 2>/dev/null; done
            rm -rf "$1"
            """
        watcher.arguments = ["-c", text, "watch-kafka", folder.path]
        watcher.standardInput = FileHandle.nullDevice
        watcher.standardOutput = FileHandle.nullDevice
        watcher.standardError = FileHandle.nullDevice
        try watcher.run()
    }

    private static func stopShared() {
        for case .success(let server) in common.withLock({ $0 }).values { server.remove() }
    }

    private func remove() {
        guard let folder else { return }
        for process in processes() { Foundation.kill(process, SIGKILL) }
        try? FileManager.default.removeItem(at: folder)
    }

    private func processes(node: Int? = nil) -> [pid_t] {
        guard let folder else { return [] }
        let data = folder.appending(path: "data")
        let nodes = node.map { ["\($0)"] } ?? ((try? FileManager.default.contentsOfDirectory(atPath: data.path)) ?? [])
        return nodes.compactMap { node in
            guard let text = try? String(contentsOf: data.appending(path: node).appending(path: "pid"), encoding: .utf8) else { return nil }
            return pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    /// Runs `body` with a cluster of its own and removes it afterwards.
    package static func with<R: Sendable>(
        nodes: Int = 1, settings: [String] = [], _ body: (KafkaServer) async throws -> R
    ) async throws -> R {
        let server = try await onThread { try start(nodes: nodes, settings: settings) }
        let result: Result<R, any Error>
        do { result = .success(try await body(server)) } catch { result = .failure(error) }
        await onThread { server.remove() }
        return try result.get()
    }

    /// The port of the first broker.
    package var port: Int { Int(bootstrap.split(separator: ",").first?.split(separator: ":").last ?? "") ?? 0 }

    /// As a crash does.
    package func kill(node: Int = 1) async throws { try await verb("stop", "--kill", "--node", "\(node)") }
    /// In order; the data stays for `start()`.
    package func stop(node: Int = 1) async throws { try await verb("stop", "--node", "\(node)") }
    /// On the same port and data; returns when it accepts connections.
    package func start(node: Int = 1) async throws { try await verb("restart", "--node", "\(node)") }
    /// Freezes the process: its sockets stay open and nobody answers.
    package func pause(node: Int = 1) async throws {
        let found = processes(node: node)
        if found.isEmpty { throw KafkaServerError(text: "there is no broker to freeze") }
        for process in found { try await freeze(process) }
    }
    package func resume(node: Int = 1) { for process in processes(node: node) { Foundation.kill(process, SIGCONT) } }

    /// Runs one of Kafka's own tools: `topics`, `groups` or `configs`.
    @discardableResult
    package func tool(_ arguments: String...) async throws -> String {
        guard let folder else { throw KafkaServerError(text: "no tools for a cluster that others run") }
        return try await onThread {
            try Self.run([arguments[0], "--dir", folder.appending(path: "data").path] + arguments.dropFirst())
        }
    }

    private func verb(_ words: String...) async throws {
        guard let folder else { throw KafkaServerError(text: "a cluster that others run is not stopped") }
        try await onThread { _ = try Self.run(words + ["--dir", folder.appending(path: "data").path]) }
    }

    private static func run(_ arguments: [String]) throws -> String {
        guard let found else { throw KafkaServerError(text: whyNot) }
        let process = SpawnedProcess()
        process.executableURL = found
        process.arguments = arguments
        // Into files: what the script leaves running would hold a pipe open.
        let folder = FileManager.default.temporaryDirectory.appending(path: "carillon-kafka-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (output, errors) = (folder.appending(path: "out"), folder.appending(path: "err"))
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
        guard process.terminationStatus == 0 else {
            let complaint = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
            throw KafkaServerError(text: "\(arguments.joined(separator: " ")): \(complaint)\(text)")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

package struct KafkaServerError: Error, CustomStringConvertible {
    let text: String
    package var description: String { text }
}
