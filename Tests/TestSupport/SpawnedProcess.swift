import CPosix
package import Foundation
import Glibc
import Locking

/// A process of a test, with the face of Foundation's `Process`, which cannot be used here: while it starts a process it copies directory entries
/// beyond the end of their memory, which ends a test process that has some thousand descriptors open; and it waits by a run loop, which starves
/// when many tests do so at once. Signals are neither blocked nor ignored in the child, and it is in a group of its own.
package final class SpawnedProcess: @unchecked Sendable {  // what is set before `run` is only read after it; the rest is in `state`
    package var executableURL: URL?
    package var arguments: [String] = []
    package var environment: [String: String]?
    package var currentDirectoryURL: URL?
    /// A `Pipe` or a `FileHandle`; nil: our own.
    package var standardInput: Any?
    package var standardOutput: Any?
    package var standardError: Any?
    package private(set) var processIdentifier: Int32 = 0
    private let state = Locked<Int32?>(nil)

    package init() {}

    package struct CannotStart: Error {
        let program: String
        let code: Int32
    }

    package func run() throws {
        let program = executableURL?.path ?? ""
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var theirs: [FileHandle] = []
        for (stream, descriptor) in [(standardInput, Int32(0)), (standardOutput, 1), (standardError, 2)] {
            switch stream {
            case let pipe as Pipe:
                let end = descriptor == 0 ? pipe.fileHandleForReading : pipe.fileHandleForWriting
                theirs.append(end)
                posix_spawn_file_actions_adddup2(&actions, end.fileDescriptor, descriptor)
            case let handle as FileHandle where handle === FileHandle.nullDevice:
                posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
            case let handle as FileHandle: posix_spawn_file_actions_adddup2(&actions, handle.fileDescriptor, descriptor)
            default: break
            }
        }
        if let folder = currentDirectoryURL { _ = carillon_spawn_folder(&actions, folder.path) }
        _ = carillon_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        let words = ([program] + arguments).map { strdup($0) } + [nil]
        let values = (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + values { free(text) } }
        var child = pid_t()
        let code = posix_spawn(&child, program, &actions, &attributes, words, values)
        // Or their readers would never see an end.
        for end in theirs { try? end.close() }
        guard code == 0 else { throw CannotStart(program: program, code: code) }
        processIdentifier = child
    }

    /// False once it has ended, which is noticed here.
    package var isRunning: Bool { look(0) == nil }

    /// The exit code, 128 + N where signal N ended it; only after the end.
    package var terminationStatus: Int32 { look(0) ?? -1 }

    /// Blocks until it has ended.
    package func waitUntilExit() { _ = look(nil) }

    package func terminate() { if isRunning { kill(processIdentifier, SIGTERM) } }

    /// The status where there is one; waits for it where `options` is nil.
    private func look(_ options: Int32?) -> Int32? {
        if let known = state.withLock({ $0 }) { return known }
        if options == nil {
            // Not under the lock: others may look meanwhile.
            var information = siginfo_t()
            _ = waitid(P_PID, id_t(processIdentifier), &information, WEXITED | WNOWAIT)
        }
        return state.withLock { state in
            if let state { return state }
            var status: Int32 = 0
            guard processIdentifier > 0, waitpid(processIdentifier, &status, WNOHANG) == processIdentifier else { return nil }
            state = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
            return state
        }
    }
}
