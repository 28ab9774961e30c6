import Foundation
import Processes

/// `sh -c` with a given standard input.
enum ShellCommand {
    /// Returns the exit code, 128 + N when signal N ended it. The command keeps our standard output and error. It is in a process group of its own,
    /// so that a Ctrl-C meant for us does not end the event in hand. Not cancelled: an event that was begun is ended.
    static func run(_ command: String, input: [UInt8], environment: [String: String]) async throws -> Int32 {
        var file = Array((FileManager.default.temporaryDirectory.path + "/carillon-event-XXXXXX").utf8CString)
        // An unlinked file rather than a pipe: a command that does not read its input must not block us.
        let descriptor = mkstemp(&file)
        guard descriptor >= 0 else { throw Failure("cannot make a temporary file for the event: error \(errno)") }
        unlink(file)
        defer { close(descriptor) }
        try input.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                guard count > 0 else { throw Failure("cannot write the event's temporary file: error \(errno)") }
                written += count
            }
        }
        lseek(descriptor, 0, SEEK_SET)
        return try await withCheckedThrowingContinuation { continuation in
            do throws(ChildProcess.Failure) {
                _ = try ChildProcess(
                    ["sh", "-c", command], environment: ProcessInfo.processInfo.environment.merging(environment) { _, new in new },
                    input: descriptor
                ) { exit, _ in
                    continuation.resume(returning: exit.code)
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
