import CPosix
import Glibc
import Locking

/// A process that waits to be released before it becomes its command: what is to be known of it can be written down first. Let go unreleased, or
/// when we are killed, it ends without having run anything.
package final class HeldProcess: Sendable {
    package let identifier: Int32
    private let gate: Locked<Int32?>

    /// `arguments[0]` is looked for in the `PATH` of `environment`. Its standard input is empty, output and error are ours; it is in a process
    /// group of its own. Blocks for as long as the system takes to make a process.
    ///
    /// A command that turns out not to be there when it is released ends with status 127, one that cannot be run with 126.
    package init(_ arguments: [String], environment: [String: String]) throws(ChildProcess.Failure) {
        let name = arguments.first ?? ""
        guard !name.isEmpty, !arguments.contains(where: { $0.utf8.contains(0) }) else {
            throw ChildProcess.Failure(command: name, number: EINVAL)
        }
        guard let program = Self.find(name, in: environment["PATH"]) else { throw ChildProcess.Failure(command: name, number: ENOENT) }
        var ends: [Int32] = [-1, -1]
        guard carillon_gate(&ends) == 0 else { throw ChildProcess.Failure(command: name, number: errno) }
        defer { close(ends[1]) }
        let (identifier, number) = ChildProcess.withCStrings(arguments) { arguments in
            ChildProcess.withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
                let identifier = carillon_fork_behind_gate(program, arguments, environment, ends[1])
                return (identifier, errno)
            }
        }
        guard identifier > 0 else {
            close(ends[0])
            throw ChildProcess.Failure(command: name, number: number)
        }
        self.identifier = identifier
        gate = Locked(ends[0])
    }

    deinit { shut() }

    /// Ends it without its command and waits for that, which takes no longer than a start; nothing where it was released.
    package func discard() {
        guard shut() else { return }
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    }

    /// Whether it was still open.
    @discardableResult private func shut() -> Bool {
        gate.withLock { gate in
            guard let end = gate else { return false }
            close(end)
            gate = nil
            return true
        }
    }

    /// Lets it become its command; nothing the second time.
    package func release() {
        gate.withLock { gate in
            guard let end = gate else { return }
            var byte: UInt8 = 1
            _ = carillon_send_at_hand(end, &byte, 1)
            close(end)
            gate = nil
        }
    }

    /// A name with a slash as it is; another where the path has it.
    private static func find(_ name: String, in path: String?) -> String? {
        if name.utf8.contains(UInt8(ascii: "/")) { return name }
        for folder in (path ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let program = "\(folder)/\(name)"
            if access(program, X_OK) == 0 { return program }
        }
        return nil
    }
}
