package import Glibc

/// Files that appear whole or not at all, closed to others unless told otherwise. Blocks: call it on a thread of its own.
package enum PrivateFile {
    package struct Failure: Error, CustomStringConvertible {
        package let path: String
        package let number: Int32
        package var description: String { "\(path) cannot be read or written: \(String(cString: strerror(number)))" }
    }

    /// Makes the folder and those above it, with mode 0700.
    package static func makeFolder(_ path: String) throws {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw Failure(path: path, number: errno)
        }
        try makeFolder(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw Failure(path: path, number: errno) }
    }

    /// Writes a temporary file beside `path` that is never open to others, syncs it and renames it over `path`.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws {
        try stage(bytes, for: path, mode: mode).commit()
    }

    /// The whole file; nil where there is none. Throws for one that cannot be read or has more than `limit` bytes.
    package static func read(_ path: String, limit: Int = 64 << 20) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw Failure(path: path, number: errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw Failure(path: path, number: errno) }
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= limit else { throw Failure(path: path, number: EFBIG) }
        }
    }

    /// Gives a file another name, in place of what has it.
    package static func move(_ path: String, to other: String) throws {
        guard rename(path, other) == 0 else { throw Failure(path: path, number: errno) }
    }

    /// A file that is written whole but does not stand at its place yet.
    package struct Staged: Sendable {
        package let temporary: String
        package let path: String
        /// Puts it in place.
        package func commit() throws {
            guard rename(temporary, path) == 0 else {
                let number = errno
                discard()
                throw Failure(path: path, number: number)
            }
            // The rename is on disk only when the folder is.
            let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if descriptor >= 0 {
                fsync(descriptor)
                close(descriptor)
            }
        }
        package func discard() { unlink(temporary) }
    }

    /// The first half of `write`: the bytes are on disk beside `path`.
    package static func stage(_ bytes: [UInt8], for path: String, mode: mode_t) throws -> Staged {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Failure(path: path, number: errno) }
        defer { close(descriptor) }
        func fail() -> Failure {
            let number = errno
            unlink(temporary)
            return Failure(path: path, number: number)
        }
        var count = 0
        while count < bytes.count {
            let done = bytes[count...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if done < 0 && errno == EINTR { continue }
            guard done > 0 else { throw fail() }
            count += done
        }
        guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0 else { throw fail() }
        return Staged(temporary: temporary, path: path)
    }
}
