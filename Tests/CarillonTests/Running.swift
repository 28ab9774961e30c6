import Foundation
import Locking
import TestSupport

/// The built program, running as a user runs it; ended by its process id at the latest when `with…` returns.
final class Running: Sendable {
    /// The program beside the test bundle.
    static let program: URL = {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("carillon").path) {
            folder.deleteLastPathComponent()
        }
        return folder.appendingPathComponent("carillon")
    }()

    private struct Text {
        var output = ""
        var errors = ""
        /// How many of the two pipes have ended: nothing more comes after both.
        var ended = 0
    }
    private let text = Locked(Text())
    private let process: SpawnedProcess
    let identifier: Int32

    private init(_ arguments: [String], environment: [String: String], input: String?) throws {
        let process = SpawnedProcess()
        process.executableURL = Self.program
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CARILLON_") }
        variables.merge(environment) { _, new in new }
        process.environment = variables
        let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = input == nil ? FileHandle.nullDevice : standardInput
        let box = WeakBox()
        output.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            box.add(output: String(decoding: data, as: UTF8.self), ended: data.isEmpty)
        }
        errors.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            box.add(errors: String(decoding: data, as: UTF8.self), ended: data.isEmpty)
        }
        try process.run()
        if let input {
            standardInput.fileHandleForWriting.write(Data(input.utf8))
            try standardInput.fileHandleForWriting.close()
        }
        identifier = process.processIdentifier
        self.process = process
        box.set(self)
    }

    fileprivate func add(output: String, errors: String, ended: Bool) {
        text.withLock {
            $0.output += output
            $0.errors += errors
            if ended { $0.ended += 1 }
        }
    }

    /// Whether all that the program wrote has been read.
    private var isRead: Bool { text.withLock { $0.ended == 2 } }

    var output: String { text.withLock { $0.output } }
    var errors: String { text.withLock { $0.errors } }
    var isRunning: Bool { process.isRunning }
    var exitCode: Int32 { process.terminationStatus }

    func send(_ signal: Int32) { kill(identifier, signal) }

    /// Waits until the program has ended; returns its exit code.
    @discardableResult
    func ended(within limit: Duration = .seconds(30)) async throws -> Int32 {
        try await eventually(within: limit, "the end of carillon") { !isRunning }
        return exitCode
    }

    /// Waits for a line of its log with this message and returns one of its fields.
    func logged(_ message: String, field: String, within limit: Duration = .seconds(30)) async throws -> String {
        let found = Locked<String?>(nil)
        try await eventually(within: limit, "the log line `\(message)`; so far: \(errors.suffix(2000))") {
            for line in errors.split(separator: "\n") {
                guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String],
                    object["message"] == message
                else { continue }
                found.withLock { $0 = object[field] }
                return true
            }
            if !isRunning { throw NotRunning(errors: errors) }
            return false
        }
        return found.withLock { $0 } ?? ""
    }

    struct NotRunning: Error { let errors: String }

    /// Runs the program for the length of `body`; then SIGTERM, and SIGKILL when it does not end.
    static func with<R>(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, _ body: (Running) async throws -> R
    ) async throws -> R {
        let running = try Running(arguments, environment: environment, input: input)
        func stop() async {
            if running.isRunning { running.send(SIGTERM) }
            if (try? await running.ended(within: .seconds(15))) == nil { running.send(SIGKILL) }
        }
        do {
            let result = try await body(running)
            await stop()
            return result
        } catch {
            await stop()
            throw error
        }
    }

    /// Runs the program to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, within limit: Duration = .seconds(60)
    ) async throws -> (code: Int32, output: String, errors: String) {
        try await with(arguments, environment: environment, input: input) { running in
            let code = try await running.ended(within: limit)
            // The pipes may still hold what was written last.
            try await eventually(within: limit, "the end of what carillon printed") { running.isRead }
            return (code, running.output, running.errors)
        }
    }
}

/// Gives the pipe handlers what they write to, without keeping it alive.
private final class WeakBox: Sendable {
    private struct State {
        weak var running: Running?
        var early: [(output: String, errors: String, ended: Bool)] = []
    }
    private let state = Locked(State())

    func set(_ running: Running) {
        let early = state.withLock { state in
            state.running = running
            defer { state.early = [] }
            return state.early
        }
        for text in early { running.add(output: text.output, errors: text.errors, ended: text.ended) }
    }

    func add(output: String = "", errors: String = "", ended: Bool) {
        let running: Running? = state.withLock { state in
            if state.running == nil { state.early.append((output, errors, ended)) }
            return state.running
        }
        running?.add(output: output, errors: errors, ended: ended)
    }
}
