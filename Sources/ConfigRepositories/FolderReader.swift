import Crypto
import Glibc

/// Reads folders of the file system into memory. Its calls block: make them on a thread of their own.
struct FolderReader: Sendable {
    /// What a look at a file costs little: when these are the same, so is the content.
    struct Stamp: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }
    /// What is in the folders, without the content of files. Paths are absolute, without the leading slash.
    struct Listing: Hashable, Sendable {
        var files: [String: Stamp] = [:]
        var folders: Set<String> = []

        /// The listing with files that were changed only just now marked as unknown: they could change again without any other stamp.
        func settled(now: Int64) -> Listing {
            var result = self
            for (path, stamp) in files where Int64(stamp.seconds) >= now - 1 { result.files[path]?.nanoseconds = -1 - stamp.nanoseconds }
            return result
        }
    }

    /// Absolute paths of the folders that are read, whole.
    let roots: [String]
    var fileLimit = 100_000
    var sizeLimit = 256 << 20

    /// The files there are now. Throws `.unavailable` when a folder that is there cannot be read.
    func list() throws(ConfigError) -> Listing {
        var listing = Listing()
        let real = roots.compactMap(Self.real)
        for root in roots {
            guard root != "/" else {
                throw ConfigError(
                    .unavailable, "a search location must begin with a folder, not with a placeholder or the root of the file system")
            }
            var status = stat()
            guard stat(root, &status) == 0 else {
                if errno == ENOENT || errno == ENOTDIR { continue }
                throw Self.failure("look at", root)
            }
            guard Self.isFolder(status) else { throw ConfigError(.unavailable, "\(root) is not a folder") }
            try add(root, real, depth: 0, to: &listing)
        }
        return listing
    }

    private func add(_ folder: String, _ real: [String], depth: Int, to listing: inout Listing) throws(ConfigError) {
        guard depth < 64 else { throw ConfigError(.broken, "\(folder): folders lie more than 64 deep, or a link leads back into itself") }
        let path = String(folder.drop { $0 == "/" })
        guard listing.folders.insert(path).inserted else { return }
        guard let stream = opendir(folder) else {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw Self.failure("read", folder)
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            // Names that begin with two dots belong to whoever swaps the folder's content (Kubernetes), not to the content.
            guard let name, name != ".", !name.hasPrefix(".."), name.lowercased() != ".git" else { continue }
            let full = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
            var status = stat()
            guard lstat(full, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFLNK {
                guard let target = Self.real(full), real.contains(where: { target == $0 || target.hasPrefix($0 == "/" ? "/" : $0 + "/") }),
                    stat(full, &status) == 0
                else { continue }
            }
            if Self.isFolder(status) {
                try add(full, real, depth: depth + 1, to: &listing)
            } else if status.st_mode & S_IFMT == S_IFREG {
                guard listing.files.count < fileLimit else {
                    throw ConfigError(.broken, "\(folder): more than \(fileLimit) files; serve a folder that holds configuration only")
                }
                listing.files[String(full.dropFirst())] = Stamp(
                    device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
                    nanoseconds: status.st_mtim.tv_nsec)
            }
        }
    }

    /// The content of a listing; files whose stamp is in `old` keep the content they have in `tree`. Nil when something changed meanwhile.
    func read(_ listing: Listing, old: Listing?, tree: MemoryTree?) throws(ConfigError) -> MemoryTree? {
        var files: [String: MemoryTree.Content] = [:]
        var total = 0
        for (path, stamp) in listing.files {
            total += stamp.size
            guard total <= sizeLimit else {
                throw ConfigError(
                    .broken, "the folders hold more than \(sizeLimit >> 20) MiB; serve a folder that holds configuration only")
            }
            if let known = tree?.files[path], old?.files[path] == stamp {
                files[path] = known
                continue
            }
            guard let bytes = try bytes("/" + path, stamp) else { return nil }
            if let known = tree?.files[path], known.bytes == bytes, known.modified == Int64(stamp.seconds) {
                files[path] = known
            } else {
                files[path] = MemoryTree.Content(bytes, modified: Int64(stamp.seconds))
            }
        }
        return try list() == listing ? MemoryTree(files, folders: listing.folders, root: "/") : nil
    }

    private func bytes(_ path: String, _ stamp: Stamp) throws(ConfigError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw Self.failure("open", path)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, UInt64(status.st_ino) == stamp.inode, Int(status.st_size) == stamp.size else { return nil }
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: stamp.size) { buffer, filled in
            while count < stamp.size {
                let got = Glibc.read(file, buffer.baseAddress.map { $0 + count }, stamp.size - count)
                if got < 0, errno == EINTR { continue }
                if got <= 0 { break }
                count += got
            }
            filled = count
        }
        return count == stamp.size ? bytes : nil
    }

    /// A hash of all paths and contents.
    static func hash(of tree: MemoryTree) -> String {
        var text: [UInt8] = []
        for (path, content) in tree.files.sorted(by: { $0.key < $1.key }) {
            text += Array("\(path)\0".utf8) + SHA256.digest(of: content.bytes)
        }
        return Hexadecimal.encode(Array(SHA256.digest(of: text).prefix(20)))
    }

    /// The path without links; nil when there is nothing.
    private static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(validatingCString: resolved)
    }

    private static func isFolder(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }

    private static func failure(_ verb: String, _ path: String) -> ConfigError {
        ConfigError(.unavailable, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
