package import Foundation
import Locking

/// A private rabbitmq-server on loopback with its own ports, data and epmd, started by `deploy/rabbitmq`.
///
/// Start-up costs seconds of CPU, so suites of one process share `shared()`; a test that stops or breaks its broker makes one of its own.
package final class RabbitMQServer: Sendable {
    /// `amqp://guest:guest@127.0.0.1:<port>/%2F`
    package let uri: String
    package let port: Int
    package let folder: URL

    package static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/lib/rabbitmq/bin/rabbitmq-server")
    /// For `.enabled(if:)`.
    package static let whyNot = "rabbitmq-server is not installed: apt-get install rabbitmq-server"

    private static let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/rabbitmq").standardized
    private static let common = Locked<[String: Result<RabbitMQServer, any Error>]>([:])
    private static let starting = NSLock()

    /// The broker of that name that suites of this process share; started at the first call, stopped when the process ends. Tests that stop
    /// or break their broker share one of another name, and run one after the other.
    package static func shared(_ name: String = "common") async throws -> RabbitMQServer {
        try await onThread {
            starting.lock()  // one start, however many suites ask at once
            defer { starting.unlock() }
            if let known = common.withLock({ $0[name] }) { return try known.get() }
            let result = Result { try RabbitMQServer() }
            let first = common.withLock { common in
                common[name] = result
                return common.count == 1
            }
            if first { atexit { RabbitMQServer.stopShared() } }
            return try result.get()
        }
    }

    private static func stopShared() {
        for case .success(let server) in common.withLock({ $0 }).values { server.remove() }
    }

    /// Runs `body` with a broker of its own and removes it afterwards. `configuration` holds further lines of rabbitmq.conf, `plugins` are what it
    /// has besides: `rabbitmq_management`.
    package static func with<R: Sendable>(
        configuration: String = "", plugins: [String] = [], _ body: (RabbitMQServer) async throws -> R
    ) async throws -> R {
        let server = try await onThread { try RabbitMQServer(configuration: configuration, plugins: plugins) }
        let result: Result<R, any Error>
        do { result = .success(try await body(server)) } catch { result = .failure(error) }
        await onThread { server.remove() }
        return try result.get()
    }

    private init(configuration: String = "", plugins: [String] = []) throws {
        let template = FileManager.default.temporaryDirectory.appending(path: "carillon-rabbitmq-XXXXXX").path
        var name = Array(template.utf8CString)
        guard mkdtemp(&name) != nil else { throw RabbitMQServerError(text: "no temporary folder: errno \(errno)") }
        folder = URL(filePath: String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        var environment = ["RABBITMQ_PLUGINS": plugins.joined(separator: ",")]
        if !configuration.isEmpty {
            let file = folder.appending(path: "extra.conf")
            try Data(configuration.utf8).write(to: file)
            environment["RABBITMQ_EXTRA_CONFIG"] = file.path
        }
        do {
            uri = try Self.run(["start", folder.path], environment)
        } catch {
            _ = try? Self.run(["stop", folder.path])
            try? FileManager.default.removeItem(at: folder)
            throw error
        }
        port = Int(uri.split(separator: ":").last?.prefix { $0.isNumber } ?? "") ?? 0
    }

    private func remove() {
        _ = try? Self.run(["stop", folder.path])
        try? FileManager.default.removeItem(at: folder)
    }

    /// Stops it in order; the data stays for `start()`.
    package func stop() async throws { try await verb("stop") }
    /// As a crash does.
    package func kill() async throws { try await verb("kill") }
    /// On the same port and data; returns when it accepts connections.
    package func start() async throws { try await verb("start") }
    /// Freezes the process: its sockets stay open and nobody answers.
    package func pause() async throws { try await freeze(process()) }
    package func resume() async throws { _ = try await Foundation.kill(process(), SIGCONT) }

    /// Writes to disk what was declared so far, for a test that kills the broker next: RabbitMQ 3.10 confirms a durable queue that may be in
    /// memory alone for a moment, and killed at once it had forgotten 3 of 75.
    package func writeDeclarations() async throws { try await control("eval", "ok = disk_log:sync(latest_log).") }

    /// Runs rabbitmqctl and returns what it printed.
    @discardableResult
    package func control(_ arguments: String...) async throws -> String {
        let folder = folder.path
        return try await onThread { try Self.run(["ctl", folder] + arguments) }
    }

    private func verb(_ verb: String) async throws {
        let folder = folder.path
        try await onThread { _ = try Self.run([verb, folder]) }
    }

    private func process() async throws -> pid_t {
        let folder = folder.path
        let text = try await onThread { try Self.run(["pid", folder]) }
        guard let process = pid_t(text) else { throw RabbitMQServerError(text: "no process \(text)") }
        return process
    }

    private static func run(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
        let text = try SpawnedProcess.output(of: script, arguments, environment: environment) { RabbitMQServerError(text: $0) }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

package struct RabbitMQServerError: Error, CustomStringConvertible {
    let text: String
    package var description: String { text }
}
