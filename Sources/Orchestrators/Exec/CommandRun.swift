internal import Glibc
internal import Locking
internal import Processes

/// One run of a command to its end, with what it wrote. Blocks: for a thread that may wait.
struct CommandRun {
    var exit: ProcessExit
    var output: [UInt8]
    /// The end of what it wrote to its standard error.
    var errors: [UInt8]

    enum Failure: Error {
        case cannotStart(String)
        case tooLong
        case tooMuch
        case cancelled
    }
    /// What may stand in a pipe before anybody reads.
    static let inputLimit = 60_000
    private static let kept = 4096
    private static let tick: Int32 = 20

    /// Kills it with all of its group when it runs longer than `limit`, writes more than `bound` bytes to its standard output, or `isCancelled`.
    init(
        _ arguments: [String], input: [UInt8], environment: [String: String], limit: Duration, bound: Int,
        isCancelled: () -> Bool
    ) throws(Failure) {
        guard input.count <= Self.inputLimit else { throw .cannotStart("its input is longer than \(Self.inputLimit) bytes") }
        guard !isCancelled() else { throw .cancelled }
        var pipes: [(read: Int32, write: Int32)] = []
        defer { for pipe in pipes { for end in [pipe.read, pipe.write] where end >= 0 { close(end) } } }
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw .cannotStart(String(cString: strerror(errno))) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            pipes.append((ends[0], ends[1]))
        }
        // All of it stands in the pipe before the command runs: one that does not read it is no concern of ours.
        var written = 0
        while written < input.count {
            let count = input[written...].withUnsafeBytes { write(pipes[0].write, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .cannotStart(String(cString: strerror(errno))) }
            written += count
        }
        let ended = Ended()
        let child: ChildProcess
        do throws(ChildProcess.Failure) {
            child = try ChildProcess(
                arguments, environment: environment, streams: [0: pipes[0].read, 1: pipes[1].write, 2: pipes[2].write]
            ) { exit, _ in ended.exit.withLock { $0 = exit } }
        } catch {
            throw .cannotStart("\(error)")
        }
        // Or there would be no end of what it reads and writes.
        for (index, end) in [(0, pipes[0].read), (0, pipes[0].write), (1, pipes[1].write), (2, pipes[2].write)] {
            close(end)
            if end == pipes[index].read { pipes[index].read = -1 } else { pipes[index].write = -1 }
        }
        for index in 1...2 { _ = fcntl(pipes[index].read, F_SETFL, O_NONBLOCK) }

        (output, errors, exit) = ([], [], .code(0))
        let clock = ContinuousClock()
        let end = clock.now + limit
        var failure: Failure?
        while true {
            let known = ended.exit.withLock { $0 }
            for index in 1...2 { Self.take(&pipes[index].read, &output, &errors, index == 1, bound) }
            if failure == nil {
                failure = output.count > bound ? .tooMuch : isCancelled() ? .cancelled : clock.now >= end ? .tooLong : nil
                if failure != nil, known == nil { child.endGroup(SIGKILL) }
            }
            if let known {
                if let failure { throw failure }
                exit = known
                return
            }
            var open = pipes[1...2].compactMap { $0.read >= 0 ? pollfd(fd: $0.read, events: Int16(POLLIN), revents: 0) : nil }
            poll(&open, nfds_t(open.count), Self.tick)
        }
    }

    /// Reads what is at hand, and closes what has ended.
    private static func take(_ end: inout Int32, _ output: inout [UInt8], _ errors: inout [UInt8], _ isOutput: Bool, _ bound: Int) {
        var piece = [UInt8](repeating: 0, count: 16384)
        while end >= 0 {
            let count = read(end, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return }
            guard count > 0 else {
                close(end)
                end = -1
                return
            }
            if isOutput {
                if output.count <= bound { output += piece[..<count] }
            } else {
                errors = (errors + piece[..<count]).suffix(kept)
            }
            // One that writes without end must not keep us from looking at the clock.
            if isOutput, output.count > bound { return }
        }
    }

    private final class Ended: Sendable {
        let exit = Locked<ProcessExit?>(nil)
    }
}
