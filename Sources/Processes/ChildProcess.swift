import CPosix
import Dispatch
import Glibc
import Locking

/// A process of ours in a process group of its own, or one that another of us has started so.
package final class ChildProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let command: String
        package let number: Int32
        package var description: String { "\(command) cannot be started: \(String(cString: strerror(number)))" }
    }

    package let identifier: Int32
    private struct State {
        /// The process is gone; its number may be another's from then on.
        var hasEnded = false
        var watch: Watch?
        /// Whether the whole group is to end with the process.
        var endsGroup = false
    }
    /// Keeps the source.
    private final class Watch: @unchecked Sendable {  // Dispatch allows every call on a source from any thread
        let source: any DispatchSourceRead
        let descriptor: Int32
        init(_ source: any DispatchSourceRead, _ descriptor: Int32) {
            self.source = source
            self.descriptor = descriptor
        }
    }
    private let state = Locked(State())

    /// Starts `arguments[0]`, found in our `PATH`, and calls `onExit` once, from another thread, when it has ended. Blocks for as long as the
    /// system takes to make a process. `input` becomes its standard input; nil: ours.
    package convenience init(
        _ arguments: [String], environment: [String: String], folder: String? = nil, input: Int32? = nil,
        onExit: @escaping @Sendable (ProcessExit, _ ranFor: Duration) -> Void
    ) throws(Failure) {
        try self.init(arguments, environment: environment, folder: folder, streams: [0: input], onExit: onExit)
    }

    /// `streams`: what becomes its standard input (0), output (1) and error (2); those not named, or nil, are ours.
    package convenience init(
        _ arguments: [String], environment: [String: String], folder: String? = nil, streams: [Int32: Int32?],
        onExit: @escaping @Sendable (ProcessExit, _ ranFor: Duration) -> Void
    ) throws(Failure) {
        let program = arguments.first ?? ""
        guard !program.isEmpty, !arguments.contains(where: { $0.utf8.contains(0) }) else { throw Failure(command: program, number: EINVAL) }
        let clock = ContinuousClock()
        let start = clock.now
        let (number, identifier) = Self.spawn(arguments, environment, folder, streams.compactMapValues(\.self))
        guard number == 0 else { throw Failure(command: program, number: number) }
        do {
            // A process of ours always tells how it ended.
            try self.init(watching: identifier, name: program) { onExit($0 ?? .code(0), clock.now - start) }
        } catch {
            kill(-identifier, SIGKILL)
            var status: Int32 = 0
            waitpid(identifier, &status, 0)
            throw error
        }
    }

    /// Watches a process that runs, and calls `onExit` once, from another thread, when it has ended: without an exit where the process is not a
    /// child of ours, for only its parent is told. Only for processes that lead a group of their own.
    package init(
        watching identifier: Int32, name: String, onExit: @escaping @Sendable (ProcessExit?) -> Void
    ) throws(Failure) {
        self.identifier = identifier
        let descriptor = carillon_pidfd_open(identifier)
        guard descriptor >= 0 else { throw Failure(command: name, number: errno) }
        // The descriptor is readable from the moment when the process is gone; waitpid does not block then.
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
        source.setEventHandler { @Sendable [self] in
            if let exit = reap() { onExit(exit) }
        }
        source.setCancelHandler { @Sendable in close(descriptor) }
        let watch = Watch(source, descriptor)
        state.withLock { $0.watch = watch }
        source.activate()
    }

    private static func spawn(
        _ arguments: [String], _ environment: [String: String], _ folder: String?, _ streams: [Int32: Int32]
    ) -> (Int32, pid_t) {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own, so that the whole of it can be ended; no signal blocked, none ignored: what we ignore is our own affair.
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
        for (stream, descriptor) in streams { posix_spawn_file_actions_adddup2(&actions, descriptor, stream) }
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

    /// Nil when it has not ended, or was told before.
    private func reap() -> ProcessExit?? {
        let (exit, watch) = state.withLock { state -> (ProcessExit??, Watch?) in
            guard !state.hasEnded else { return (nil, nil) }
            // Before the process is waited for: its group's number cannot be another's yet.
            if state.endsGroup { kill(-identifier, SIGKILL) }
            var status: Int32 = 0
            let waited = waitpid(identifier, &status, WNOHANG)
            guard waited != 0 else { return (nil, nil) }
            state.hasEnded = true
            defer { state.watch = nil }
            return (.some(waited == identifier ? ProcessExit(status: status) : nil), state.watch)
        }
        watch?.source.cancel()
        return exit
    }

    /// To the process itself; nothing when it has ended.
    package func send(_ signal: Int32) {
        state.withLock { if let watch = $0.watch { _ = carillon_pidfd_send_signal(watch.descriptor, signal) } }
    }

    /// Ends the process and its children in the same group with SIGTERM or SIGKILL; what is left of the group when the process itself has
    /// ended is killed. Nothing when the process has ended before.
    package func endGroup(_ signal: Int32) {
        state.withLock { state in
            // Another's child may have been waited for already: its number is ours to use only while it is there.
            guard let watch = state.watch, carillon_pidfd_send_signal(watch.descriptor, 0) == 0 else { return }
            state.endsGroup = true
            kill(-identifier, signal)
        }
    }

    /// Watches it no longer; it goes on.
    package func forget() {
        let watch = state.withLock { state in
            state.hasEnded = true
            defer { state.watch = nil }
            return state.watch
        }
        watch?.source.cancel()
    }

    static func withCStrings<R>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
        let copies = texts.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return body(copies)
    }
}
