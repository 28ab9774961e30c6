internal import Glibc

/// Held by the one server that supervises a policy's workers; free as soon as that server has ended, however it did.
final class PolicyLock: Sendable {
    struct Taken: Error, CustomStringConvertible {
        let path: String
        let holder: String
        var description: String {
            "another server\(holder.isEmpty ? "" : " (process \(holder))") supervises these workers and holds \(path): "
                + "end it, or give this one a data folder of its own"
        }
    }
    struct Failure: Error, CustomStringConvertible {
        let path: String
        let number: Int32
        var description: String { "\(path) cannot be locked: \(String(cString: strerror(number)))" }
    }
    private let descriptor: Int32

    /// Does not wait.
    init(_ path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(path: path, number: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            defer { close(descriptor) }
            guard number == EWOULDBLOCK else { throw Failure(path: path, number: number) }
            var text = [UInt8](repeating: 0, count: 16)
            let count = max(0, pread(descriptor, &text, text.count, 0))
            throw Taken(path: path, holder: String(decoding: text[..<count].prefix { (48...57).contains($0) }, as: UTF8.self))
        }
        // For whoever finds it taken.
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}
