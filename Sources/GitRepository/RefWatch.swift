import Glibc

/// Tells, by a few calls of `stat`, whether the references of a repository on this machine may have changed.
///
/// Git writes every reference as a lock file that it renames into place, so that the folder's time changes with each of them.
struct RefWatch {
    private struct Stamp: Equatable {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        var nanoseconds: Int64 = 0
        var size: Int64 = 0
    }
    private let folder: String
    private var seen: [String: Stamp] = [:]
    private var isSettled = false
    /// File times move in steps of the kernel's clock: a change within one step of the last look could go unseen.
    private static let step: Int64 = 20_000_000
    private static let mostFolders = 5000

    init(folder: String) {
        self.folder = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }

    /// Whether to look again; true at the first call. Call it before the look, so that what happens during the look is seen at the next.
    mutating func hasChanged() -> Bool {
        var stamps: [String: Stamp] = [:]
        for file in ["packed-refs", "HEAD"] { stamps[file] = Self.stamp("\(folder)/\(file)") }
        var waiting = ["refs/heads", "refs/tags"]
        while let path = waiting.popLast(), stamps.count < Self.mostFolders {
            guard let stamp = Self.stamp("\(folder)/\(path)") else { continue }
            stamps[path] = stamp
            waiting += folders(in: path, asBefore: seen[path] == stamp)
        }
        let changed = stamps != seen || !isSettled
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let newest = stamps.values.map(\.nanoseconds).max() ?? 0
        isSettled = Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec) &- newest > Self.step
        seen = stamps
        return changed
    }

    /// Folders below one; where its time is as before they are those seen before, and the folder is not read.
    private func folders(in path: String, asBefore: Bool) -> [String] {
        if asBefore {
            return seen.keys.filter { $0.hasPrefix(path + "/") && !$0.dropFirst(path.count + 1).contains("/") }
        }
        guard let stream = opendir("\(folder)/\(path)") else { return [] }
        defer { closedir(stream) }
        var result: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            var status = stat()
            if lstat("\(folder)/\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR { result.append("\(path)/\(name)") }
        }
        return result
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino),
            nanoseconds: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec), size: Int64(status.st_size))
    }
}
