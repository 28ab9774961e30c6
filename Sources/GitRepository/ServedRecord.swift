import Glibc

/// The last good commit of each branch, in a file beside the mirror: a server that starts again must not serve the commit that it had refused.
/// One line a branch: the commit, a blank, the name. What cannot be read is as if it were not there.
struct ServedRecord {
    let path: String

    func read() -> [String: ObjectID] {
        guard let file = fopen(path, "re") else { return [:] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while bytes.count < 16 << 20 {
            let count = fread(&piece, 1, piece.count, file)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        var result: [String: ObjectID] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard line.count > 41, let text = String(validating: line, as: UTF8.self), let id = ObjectID(text.prefix(40)) else { continue }
            result[String(text.dropFirst(41))] = id
        }
        return result
    }

    /// Replaces the file as a whole. A failure is not an error: the record only spares work and a poison commit after a crash.
    func write(_ branches: [String: ObjectID]) {
        let text = branches.sorted { $0.key < $1.key }.map { "\($0.value.hex) \($0.key)\n" }.joined()
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            written += count
        }
        fsync(descriptor)
        close(descriptor)
        if written == bytes.count { rename(temporary, path) } else { unlink(temporary) }
    }
}
