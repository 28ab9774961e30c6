import Foundation
import Glibc
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

    private let standardOutput: Written
    private let standardError: Written
    private let process: SpawnedProcess
    let identifier: Int32

    private init(_ arguments: [String], environment: [String: String], input: String?) throws {
        let process = SpawnedProcess()
        process.executableURL = Self.program
        process.arguments = arguments
        // Half a minute of nothing but calculation, which has no hurry: tests beside it that wait for answers go first.
        if arguments.contains("--table") {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/nice")
            process.arguments = ["-n", "15", Self.program.path] + arguments
        }
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CARILLON_") }
        variables.merge(environment) { _, new in new }
        process.environment = variables
        (standardOutput, standardError) = (try Written(), try Written())
        process.standardOutput = standardOutput.handle
        process.standardError = standardError.handle
        let standardInput = Pipe()
        process.standardInput = input == nil ? FileHandle.nullDevice : standardInput
        try process.run()
        if let input {
            standardInput.fileHandleForWriting.write(Data(input.utf8))
            try standardInput.fileHandleForWriting.close()
        }
        identifier = process.processIdentifier
        self.process = process
    }

    /// What it has written so far; all of it once it has ended.
    var output: String { standardOutput.text }
    var errors: String { standardError.text }
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

    struct ShellFailed: Error {
        let code: Int32
        let output: String
    }

    /// Runs `sh -c SCRIPT` with arguments to its end, or until it has printed enough, and returns what it printed. Throws for another exit code
    /// than 0.
    static func shell(
        _ script: String, _ arguments: [String] = [], until isEnough: (String) throws -> Bool = { _ in false }
    ) async throws -> String {
        let written = try Written()
        let process = SpawnedProcess()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, "sh"] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = written.handle
        process.standardError = written.handle
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        try await eventually(within: .seconds(60), "the end of \(script)") { try isEnough(written.text) || !process.isRunning }
        if process.isRunning { return written.text }
        guard process.terminationStatus == 0 else { throw ShellFailed(code: process.terminationStatus, output: written.text) }
        return written.text
    }

    /// Runs the program to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, within limit: Duration = .seconds(60)
    ) async throws -> (code: Int32, output: String, errors: String) {
        try await with(arguments, environment: environment, input: input) { running in
            let code = try await running.ended(within: limit)
            return (code, running.output, running.errors)
        }
    }
}

/// What a program writes, in a file without a name: nothing has to be read while it runs, and all is there when it has ended.
private final class Written: Sendable {
    let handle: FileHandle

    init() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-output-\(UUID().uuidString)").path
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        unlink(path)
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    var text: String {
        var status = stat()
        guard fstat(handle.fileDescriptor, &status) == 0 else { return "" }
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            count = max(0, pread(handle.fileDescriptor, buffer.baseAddress, buffer.count, 0))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
