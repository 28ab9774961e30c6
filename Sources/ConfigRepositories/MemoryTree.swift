import Synchronization

/// A file tree in memory: what a folder held when it was read, or what a test wrote.
package struct MemoryTree: FileTree {
    /// One content, numbered once for the life of the process.
    package final class Content: Sendable {
        private static let numbers = Atomic<Int>(0)
        package let bytes: [UInt8]
        package let modified: Int64?
        package let identity: FileIdentity
        package init(_ bytes: [UInt8], modified: Int64? = nil) {
            self.bytes = bytes
            self.modified = modified
            identity = .read(Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue)
        }
    }

    package let version: String?
    package let files: [String: Content]
    private let folders: [String: [String: Bool]]
    /// Stands before every path in messages.
    private let root: String

    /// `files` by path without leading slash; folders are those that their paths name, and `folders`, which may be empty ones.
    package init(_ files: [String: Content], folders extra: some Sequence<String> = [], version: String? = nil, root: String = "") {
        self.version = version
        self.root = root
        self.files = files
        var folders: [String: [String: Bool]] = ["": [:]]
        func add(_ path: String, isFolder: Bool) {
            var path = path
            var isFolder = isFolder
            while !path.isEmpty {
                if isFolder, folders[path] == nil { folders[path] = [:] }
                let parent = TreePath.folder(of: path)
                let isKnown = folders[parent] != nil
                folders[parent, default: [:]][TreePath.name(of: path)] = isFolder
                if isKnown { break }
                path = parent
                isFolder = true
            }
        }
        for path in files.keys { add(path, isFolder: false) }
        for path in extra { add(path, isFolder: true) }
        self.folders = folders
    }

    /// Files by path with their text.
    package init(texts: [String: String], version: String? = nil) {
        self.init(texts.mapValues { Content(Array($0.utf8)) }, version: version)
    }

    package func file(_ path: String) throws(ConfigError) -> [UInt8]? { files[path]?.bytes }

    package func list(_ folder: String) throws(ConfigError) -> [(name: String, isFolder: Bool)]? {
        folders[folder]?.map { (name: $0.key, isFolder: $0.value) }.sorted { $0.name < $1.name }
    }

    package func identity(of path: String) throws(ConfigError) -> FileIdentity? { files[path]?.identity }

    package func modified(_ path: String) -> Int64? { files[path]?.modified }

    package func shown(_ path: String) -> String { root + path }
}
