import Foundation
import Glibc

/// Away from the cooperative pool: for what blocks.
func onThread<T: Sendable, Failure: Error>(_ body: @escaping @Sendable () throws(Failure) -> T) async throws(Failure) -> T {
    let result = await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: Result(catching: body)) }.start()
    }
    return try result.get()
}

/// Stops a process; returns when none of its threads runs any more. It goes on at SIGCONT. Throws when there is no such process.
///
/// SIGSTOP returns before that: one thread takes it when it gets the processor next, and until then all others go on, so that on a busy machine a
/// server still answers.
package func freeze(_ process: Int32) async throws {
    try await onThread { try freezeOnThread(process) }
}

private func freezeOnThread(_ process: pid_t) throws(CannotFreeze) {
    guard kill(process, SIGSTOP) == 0 else { throw CannotFreeze(process: process, running: []) }
    let end = ContinuousClock.now + .seconds(20)
    while true {
        let running = runningThreads(of: process)
        if running.isEmpty { return }
        guard ContinuousClock.now < end else { throw CannotFreeze(process: process, running: running) }
        usleep(1000)
    }
}

struct CannotFreeze: Error {
    let process: pid_t
    /// As /proc tells of each; empty when there is no such process.
    let running: [String]
}

private func runningThreads(of process: pid_t) -> [String] {
    let tasks = "/proc/\(process)/task"
    return ((try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []).compactMap { thread in
        // A thread that has ended meanwhile has no text.
        guard let text = try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8) else { return nil }
        // The state stands behind the name, which may hold anything but is in the last parentheses: "17 (a name) T 1 …".
        let state = text[text.index(after: text.lastIndex(of: ")") ?? text.startIndex)...].first { $0 != " " }
        return state == "T" ? nil : text
    }
}

extension SpawnedProcess {
    /// Runs a program to its end, without input, and returns what it wrote. Blocks. `failure` makes the error of one that ends with another status
    /// than 0, from its arguments and what it said.
    static func output(
        of program: URL, _ arguments: [String], environment: [String: String] = [:], failure: (String) -> any Error
    ) throws -> String {
        let process = SpawnedProcess()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = program
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let complaint = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw failure("\(arguments.joined(separator: " ")): \(complaint)\(text)") }
        return text
    }
}
