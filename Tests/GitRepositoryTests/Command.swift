import Glibc
import Locking

/// One process, with its output; ended and waited for when it is let go. (Foundation's `Process` waits by a run loop, which starves when many
/// tests do so at once on two threads.)
final class Command: Sendable {
    private let pid: pid_t
    private let output: Int32
    private let isRunning = Locked(true)

    struct CannotStart: Error {
        let command: String
        let code: Int32
    }

    init(_ arguments: [String], environment: [String: String]) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CannotStart(command: arguments[0], code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Threads of the pool block signals, and a child inherits that: it could not be ended.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = arguments.map { strdup($0) } + [nil]
        let values = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + values { free(text) } }
        var child = pid_t()
        let code = posix_spawn(&child, arguments[0], &actions, &attributes, words, values)
        close(ends[1])
        guard code == 0 else {
            close(ends[0])
            throw CannotStart(command: arguments[0], code: code)
        }
        pid = child
        output = ends[0]
    }

    /// Waits until the process has ended; its exit status (or the signal, negative) and all that it wrote.
    func finish() -> (status: Int32, output: String) {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &piece, piece.count)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        isRunning.withLock { $0 = false }
        return (status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F), String(decoding: bytes, as: UTF8.self))
    }

    /// Whether the process has not ended by itself.
    var isAlive: Bool {
        isRunning.withLock { running in
            if running, waitpid(pid, nil, WNOHANG) == pid { running = false }
            return running
        }
    }

    /// Ends the process unless it has ended.
    func end() {
        guard isRunning.withLock({ $0 }) else { return }
        kill(pid, SIGTERM)
        waitpid(pid, nil, 0)
        isRunning.withLock { $0 = false }
    }

    deinit {
        end()
        close(output)
    }
}
