import CGit2
package import ConfigRepositories

/// The objects of a repository on disk, by libgit2.
///
/// `@unchecked Sendable`: the handle is only touched by the owner's reading thread, one call at a time; `deinit` runs when nobody else has it.
package final class LibGit2Store: ObjectStore, @unchecked Sendable {
    private let repository: OpaquePointer
    /// Where the references lie: the `.git` folder, or the bare repository itself.
    package let folder: String
    /// Larger files are refused: configuration is small, and one answer must not fill the memory.
    private static let largestBlob = 64 << 20

    /// Opens the repository at exactly `path`, a working tree or a bare one. Throws `.unavailable` when there is none.
    package init(path: String) throws(ConfigError) {
        guard GitLibrary.isStarted else { throw ConfigError(.unavailable, "libgit2 cannot be started") }
        var opened: OpaquePointer?
        let code = git_repository_open_ext(&opened, path, GIT_REPOSITORY_OPEN_NO_SEARCH.rawValue, nil)
        guard code >= 0, let opened else {
            throw ConfigError(
                .unavailable, "there is no Git repository at \(path) (\(GitError(code: code).message)); make one or mend the uri")
        }
        repository = opened
        folder = git_repository_commondir(opened).map { String(cString: $0) } ?? path
    }

    deinit { git_repository_free(repository) }

    package func references() throws(ConfigError) -> References {
        var result = References()
        try reading("the references") { () throws(GitError) in
            var iterator: OpaquePointer?
            try GitError.check(git_reference_iterator_new(&iterator, repository))
            defer { git_reference_iterator_free(iterator) }
            var unreadable = 0
            while true {
                var reference: OpaquePointer?
                let code = git_reference_next(&reference, iterator)
                if code == GIT_ITEROVER.rawValue { break }
                // A reference that vanished or is being written while the list is read is seen at the next look.
                guard code >= 0, let reference else {
                    unreadable += 1
                    if unreadable > 1000 { throw GitError(code: code) }
                    continue
                }
                defer { git_reference_free(reference) }
                guard let raw = git_reference_name(reference) else { continue }
                let name = String(cString: raw)
                let isBranch = name.hasPrefix("refs/heads/")
                guard isBranch || name.hasPrefix("refs/tags/") else { continue }
                var commit: OpaquePointer?
                guard git_reference_peel(&commit, reference, GIT_OBJECT_COMMIT) >= 0, let commit else { continue }
                defer { git_object_free(commit) }
                guard let id = Self.id(git_object_id(commit)) else { continue }
                if isBranch { result.branches[String(name.dropFirst(11))] = id } else { result.tags[String(name.dropFirst(10))] = id }
            }
        }
        return result
    }

    package func commit(prefix: String) throws(ConfigError) -> ObjectID? {
        let count = prefix.utf8.count
        guard (4...40).contains(count), prefix.utf8.allSatisfy({ ObjectID.digit($0) != nil }) else { return nil }
        return try reading("commit \(prefix)") { () throws(GitError) in
            var short = git_oid()
            try GitError.check(git_oid_fromstrn(&short, prefix, count))
            var object: OpaquePointer?
            let code = git_object_lookup_prefix(&object, repository, &short, count, GIT_OBJECT_ANY)
            if code == GIT_ENOTFOUND.rawValue || code == GIT_EAMBIGUOUS.rawValue { return nil }
            try GitError.check(code)
            defer { git_object_free(object) }
            // A tag object's own id means its commit, as everywhere in Git.
            var commit: OpaquePointer?
            guard git_object_peel(&commit, object, GIT_OBJECT_COMMIT) >= 0, let commit else { return nil }
            defer { git_object_free(commit) }
            return Self.id(git_object_id(commit))
        }
    }

    package func isContained(_ commit: ObjectID, in heads: [ObjectID]) throws(ConfigError) -> Bool {
        try reading("the history of \(commit)") { () throws(GitError) in
            var id = Self.raw(commit)
            let list = heads.map(Self.raw)
            let code = git_graph_reachable_from_any(repository, &id, list, list.count)
            try GitError.check(code)
            return code == 1
        }
    }

    package func commit(_ id: ObjectID) throws(ConfigError) -> Commit {
        try reading("commit \(id)") { () throws(GitError) in
            var raw = Self.raw(id)
            var commit: OpaquePointer?
            try GitError.check(git_commit_lookup(&commit, repository, &raw))
            defer { git_commit_free(commit) }
            guard let tree = Self.id(git_commit_tree_id(commit)) else { throw GitError(code: GIT_ENOTFOUND.rawValue) }
            let author = git_commit_author(commit).flatMap { $0.pointee.name }.map { String(cString: $0) } ?? ""
            let summary = git_commit_summary(commit).map { String(cString: $0) } ?? ""
            return Commit(id: id, tree: tree, author: author, summary: summary, time: git_commit_time(commit) &* 1000)
        }
    }

    package func tree(_ id: ObjectID) throws(ConfigError) -> [TreeEntry] {
        try reading("tree \(id)") { () throws(GitError) in
            var raw = Self.raw(id)
            var tree: OpaquePointer?
            try GitError.check(git_tree_lookup(&tree, repository, &raw))
            defer { git_tree_free(tree) }
            let count = git_tree_entrycount(tree)
            var entries: [TreeEntry] = []
            entries.reserveCapacity(count)
            for index in 0..<count {
                guard let entry = git_tree_entry_byindex(tree, index), let name = git_tree_entry_name(entry),
                    let id = Self.id(git_tree_entry_id(entry))
                else { continue }
                let kind: TreeEntry.Kind
                switch git_tree_entry_filemode(entry) {
                case GIT_FILEMODE_TREE: kind = .folder
                case GIT_FILEMODE_LINK: kind = .link
                case GIT_FILEMODE_COMMIT: continue  // a submodule: its content is not in this repository
                default: kind = .file
                }
                entries.append(TreeEntry(name: String(cString: name), id: id, kind: kind))
            }
            return entries
        }
    }

    package func blob(_ id: ObjectID) throws(ConfigError) -> [UInt8] {
        let bytes: [UInt8]? = try reading("blob \(id)") { () throws(GitError) in
            var raw = Self.raw(id)
            var blob: OpaquePointer?
            try GitError.check(git_blob_lookup(&blob, repository, &raw))
            defer { git_blob_free(blob) }
            let size = Int(git_blob_rawsize(blob))
            guard size <= Self.largestBlob else { return nil }
            guard size > 0, let content = git_blob_rawcontent(blob) else { return [] }
            return Array(UnsafeRawBufferPointer(start: content, count: size))
        }
        guard let bytes else { throw ConfigError(.broken, "a file (blob \(id)) is larger than \(Self.largestBlob >> 20) MiB") }
        return bytes
    }

    private func reading<T>(_ what: String, _ body: () throws(GitError) -> T) throws(ConfigError) -> T {
        do {
            return try body()
        } catch {
            throw ConfigError(.unavailable, "cannot read \(what) of the repository at \(folder): \(error.message)")
        }
    }

    private static func id(_ raw: UnsafePointer<git_oid>?) -> ObjectID? {
        guard let raw else { return nil }
        return withUnsafeBytes(of: raw.pointee.id) { ObjectID(bytes: $0) }
    }

    private static func raw(_ id: ObjectID) -> git_oid {
        var raw = git_oid()
        withUnsafeMutableBytes(of: &raw.id) { $0.copyBytes(from: id.bytes) }
        return raw
    }
}
