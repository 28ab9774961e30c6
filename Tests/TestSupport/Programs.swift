import Foundation

/// Away from the cooperative pool: for what blocks.
func onThread<T: Sendable, Failure: Error>(_ body: @escaping @Sendable () throws(Failure) -> T) async throws(Failure) -> T {
    let result = await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: Result(catching: body)) }.start()
    }
    return try result.get()
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
