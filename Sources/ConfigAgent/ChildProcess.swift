import CPosix
import Dispatch
import Glibc
import Locking

/// A process of our own in a process group of its own.
package final class ChildProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        let command: String
        let number: Int32
        package var description: String { "\(command) cannot be started: \(String(cString: strerror(number)))" }
    }

    let identifier: pid_t
    private struct State {
        /// Set when the process is gone; its number may be another's from then on.
        var exit: Supervision.Exit?
        var watch: Watch?
        /// Whether the whole group is to end with the process.
        var endsGroup = false
    }
    /// Keeps the source; Dispatch allows every call on it from any thread.
    private final class Watch: @unchecked Sendable {
        let source: any DispatchSourceRead
        init(_ source: any DispatchSourceRead) { self.source = source }
    }
    private let state = Locked(State())

    /// Starts `arguments[0]`, found in the agent's `PATH`, and calls `onExit` once, from another thread, when it has ended. Blocks for as long
    /// as the system takes to make a process. `input` becomes its standard input; nil: ours.
    package init(
        _ arguments: [String], environment: [String: String], folder: String? = nil, input: Int32? = nil,
        onExit: @escaping @Sendable (Supervision.Exit, _ ranFor: Duration) -> Void
    ) throws(Failure) {
        let program = arguments.first ?? ""
        guard !program.isEmpty, !arguments.contains(where: { $0.utf8.contains(0) }) else { throw Failure(command: program, number: EINVAL) }
        let clock = ContinuousClock()
        let start = clock.now
        let (number, identifier) = Self.spawn(arguments, environment, folder, input)
        guard number == 0 else { throw Failure(command: program, number: number) }
        self.identifier = identifier
        let descriptor = carillon_pidfd_open(identifier)
        guard descriptor >= 0 else {
            let number = errno
            kill(-identifier, SIGKILL)
            var status: Int32 = 0
            waitpid(identifier, &status, 0)
            throw Failure(command: program, number: number)
        }
        // The descriptor is readable from the moment when the process is gone; waitpid does not block then.
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
        source.setEventHandler { @Sendable [self] in
            if let exit = reap() { onExit(exit, clock.now - start) }
        }
        source.setCancelHandler { @Sendable in close(descriptor) }
        let watch = Watch(source)
        state.withLock { $0.watch = watch }
        source.activate()
    }

    private static func spawn(
        _ arguments: [String], _ environment: [String: String], _ folder: String?, _ input: Int32?
    ) -> (Int32, pid_t) {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own, so that the whole of it can be ended; no signal blocked, none ignored: what the agent ignores is its own affair.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let folder {
            let number = carillon_spawn_folder(&actions, folder)
            if number != 0 { return (number, 0) }
        }
        if let input { posix_spawn_file_actions_adddup2(&actions, input, 0) }
        carillon_spawn_close_from(&actions, 3)  // libraries open sockets without close-on-exec
        var identifier: pid_t = 0
        let program = arguments.first ?? ""
        let number = withCStrings(arguments) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawnp(&identifier, program, &actions, &attributes, arguments, environment)
            }
        }
        return (number, identifier)
    }

    private func reap() -> Supervision.Exit? {
        let (exit, watch) = state.withLock { state -> (Supervision.Exit?, Watch?) in
            guard state.exit == nil else { return (nil, nil) }
            // Before the process is waited for: its group's number cannot be another's yet.
            if state.endsGroup { kill(-identifier, SIGKILL) }
            var status: Int32 = 0
            guard waitpid(identifier, &status, WNOHANG) == identifier else { return (nil, nil) }
            let exit: Supervision.Exit = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
            state.exit = exit
            defer { state.watch = nil }
            return (exit, state.watch)
        }
        watch?.source.cancel()
        return exit
    }

    /// To the process itself; nothing when it has ended.
    func send(_ signal: Int32) { state.withLock { if $0.exit == nil { kill(identifier, signal) } } }

    /// Ends the process and its children in the same group with SIGTERM or SIGKILL; what is left of the group when the process itself has
    /// ended is killed. Nothing when the process has ended before.
    func endGroup(_ signal: Int32) {
        state.withLock { state in
            guard state.exit == nil else { return }
            state.endsGroup = true
            kill(-identifier, signal)
        }
    }

    private static func withCStrings<R>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
        let copies = texts.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return body(copies)
    }
}
