package import ConfigRepositories
import Locking

/// The files of one commit. Its calls may read the disk: make them on the repository's thread.
package struct CommitTree: FileTree {
    package let commit: ObjectID
    private let root: ObjectID
    private let store: any ObjectStore
    private let folders: FolderCache
    /// Links to links to links … end here.
    private static let mostLinks = 16

    package init(commit: ObjectID, root: ObjectID, store: any ObjectStore, folders: FolderCache = FolderCache()) {
        self.commit = commit
        self.root = root
        self.store = store
        self.folders = folders
    }

    package var version: String? { commit.hex }

    package func file(_ path: String) throws(ConfigError) -> [UInt8]? {
        guard let entry = try find(path), entry.kind == .file else { return nil }
        return try store.blob(entry.id)
    }

    package func identity(of path: String) throws(ConfigError) -> FileIdentity? {
        guard let entry = try find(path), entry.kind == .file else { return nil }
        return .object(entry.id.hex)
    }

    package func list(_ folder: String) throws(ConfigError) -> [(name: String, isFolder: Bool)]? {
        guard let entry = try find(folder), entry.kind == .folder else { return nil }
        var names: [(name: String, isFolder: Bool)] = []
        for child in try folders.folder(entry.id, of: store).entries {
            guard child.kind == .link else {
                names.append((child.name, child.kind == .folder))
                continue
            }
            let path = folder.isEmpty ? child.name : folder + "/" + child.name
            if let target = try find(path) { names.append((child.name, target.kind == .folder)) }
        }
        return names
    }

    /// Links to files whose content is another one than in `old`, wherever that content lies. In very large trees only those met among the first
    /// 20,000 entries: the time that a new commit takes is bounded.
    package func movedLinks(since old: CommitTree) throws(ConfigError) -> [String] {
        var moved: [String] = []
        var waiting: [(path: String, id: ObjectID)] = [("", root)]
        var count = 0
        while let (path, id) = waiting.popLast() {
            let entries = try folders.folder(id, of: store).entries
            count += entries.count
            guard count <= 20_000 else { break }
            for entry in entries where entry.kind != .file {
                let full = path.isEmpty ? entry.name : path + "/" + entry.name
                if entry.kind == .folder {
                    waiting.append((full, entry.id))
                } else if let content = try identity(of: full), try old.identity(of: full) != content {
                    moved.append(full)
                }
            }
        }
        return moved
    }

    /// Paths of files and links that differ, sorted. Folders that are the same in both are not looked into.
    package func changes(since old: CommitTree) throws(ConfigError) -> [String] {
        var paths: [String] = []
        var waiting: [(path: String, old: ObjectID?, new: ObjectID?)] = [("", old.root, root)]
        while let (path, oldID, newID) = waiting.popLast() {
            guard oldID != newID else { continue }
            let before = try oldID.map { id throws(ConfigError) in try folders.folder(id, of: store) }
            let after = try newID.map { id throws(ConfigError) in try folders.folder(id, of: store) }
            for name in Set((before?.entries ?? []).map(\.name)).union((after?.entries ?? []).map(\.name)) {
                let (left, right) = (before?[name], after?[name])
                guard left != right else { continue }
                let full = path.isEmpty ? name : path + "/" + name
                if left?.kind == .folder || right?.kind == .folder {
                    waiting.append((full, left?.kind == .folder ? left?.id : nil, right?.kind == .folder ? right?.id : nil))
                }
                if left.map({ $0.kind != .folder }) ?? false || right.map({ $0.kind != .folder }) ?? false { paths.append(full) }
            }
        }
        return paths.sorted()
    }

    /// What a path leads to, links followed within the tree only. Nil for what is not there and for paths with `.`, `..` or empty parts.
    private func find(_ path: String) throws(ConfigError) -> TreeEntry? {
        let top = TreeEntry(name: "", id: root, kind: .folder)
        guard !path.isEmpty else { return top }
        var parts = Array(path.split(separator: "/", omittingEmptySubsequences: false).map(String.init).reversed())
        guard !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else { return nil }
        var way = [top]
        var links = 0
        while let part = parts.popLast() {
            switch part {
            case "", ".": continue
            case "..":
                guard way.count > 1 else { return nil }
                way.removeLast()
                continue
            default: break
            }
            guard let here = way.last, here.kind == .folder, let entry = try folders.folder(here.id, of: store)[part] else { return nil }
            guard entry.kind == .link else {
                way.append(entry)
                continue
            }
            links += 1
            let target = String(decoding: try store.blob(entry.id), as: UTF8.self)
            guard links <= Self.mostLinks, !target.isEmpty, !target.hasPrefix("/"), target.utf8.count <= 4096 else { return nil }
            parts += target.split(separator: "/").map(String.init).reversed()
        }
        return way.last
    }
}

/// Folders by the id of their tree, so that commits share what they have in common. Bounded: emptied when full.
package final class FolderCache: Sendable {
    final class Folder: Sendable {
        let entries: [TreeEntry]
        private let places: [String: Int]
        init(_ entries: [TreeEntry]) {
            self.entries = entries
            places = Dictionary(entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
        subscript(_ name: String) -> TreeEntry? { places[name].map { entries[$0] } }
    }

    private struct State {
        var folders: [ObjectID: Folder] = [:]
        var entries = 0
    }
    private let state = Locked(State())
    private let mostEntries: Int

    package init(mostEntries: Int = 50_000) { self.mostEntries = mostEntries }

    func folder(_ id: ObjectID, of store: any ObjectStore) throws(ConfigError) -> Folder {
        if let known = state.withLock({ $0.folders[id] }) { return known }
        let folder = Folder(try store.tree(id))
        state.withLock { state in
            if state.entries + folder.entries.count > mostEntries { state = State() }
            state.folders[id] = folder
            state.entries += folder.entries.count
        }
        return folder
    }
}
