import Files
import Glibc

/// One process of this boot of the machine: its number, and when it began, for numbers come again. Reads `/proc`: small files that do not block.
package struct ProcessIdentity: Sendable, Hashable {
    package let number: Int32
    /// Clock ticks from the boot to its start.
    package let start: UInt64

    package init(number: Int32, start: UInt64) {
        self.number = number
        self.start = start
    }

    /// The living process that has this number now; nil where there is none.
    package init?(living number: Int32) {
        guard let line = Line(number), line.isAlive else { return nil }
        self = line.identity
    }

    /// Whether it still runs. One that has ended and was not waited for does not.
    package var isAlive: Bool { Self(living: number) == self }

    /// Whether it was started with this variable, as far as it lets us know: a process may write over what it was started with.
    package func wasStarted(with variable: String) -> Bool {
        guard let bytes = try? PrivateFile.read("/proc/\(number)/environ"), isAlive else { return false }
        return bytes.split(separator: 0).contains { $0.elementsEqual(variable.utf8) }
    }

    /// When it began, since the boot of the machine.
    package var began: Duration { .nanoseconds(Int64(clamping: start) * (1_000_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK)))))) }

    /// The living processes of a process group, its leader among them.
    package static func members(ofGroup group: Int32) -> [ProcessIdentity] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [ProcessIdentity] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard let number = pid_t(name), let line = Line(number), line.group == group, line.isAlive else { continue }
            found.append(line.identity)
        }
        return found
    }

    /// Names this boot of the machine; nil where the system does not tell.
    package static var boot: String? {
        guard let bytes = try? PrivateFile.read("/proc/sys/kernel/random/boot_id"), !bytes.isEmpty else { return nil }
        return String(decoding: bytes.filter { $0 > 32 }, as: UTF8.self)
    }

    /// What `/proc/N/stat` says.
    private struct Line {
        let identity: ProcessIdentity
        let isAlive: Bool
        let group: pid_t

        init?(_ number: Int32) {
            // The name stands in parentheses and may hold any byte: what follows begins behind the last one.
            guard let bytes = try? PrivateFile.read("/proc/\(number)/stat"), let end = bytes.lastIndex(of: UInt8(ascii: ")")) else {
                return nil
            }
            let fields = bytes[(end + 1)...].split(separator: 32).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 19, let group = pid_t(fields[2]), let start = UInt64(fields[19]) else { return nil }
            identity = ProcessIdentity(number: number, start: start)
            // Where the first thread has ended and others go on, the process is a zombie that works, with its files and sockets.
            isAlive = !["Z", "X", "x"].contains(fields[0]) || (Int(fields[17]) ?? 0) > 1
            self.group = group
        }
    }
}
