import CGit2
import Glibc

/// The packs of a mirror. Every fetch leaves one, and every look-up may ask all of them.
struct MirrorPacks {
    let mirror: String

    private var folder: String { mirror + "/objects/pack" }

    /// Names without extension of the packs that are whole.
    var names: [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: Set<String> = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".idx") { names.insert(String(name.dropLast(4))) }
        }
        return Array(names)
    }

    /// Writes what the references and `commits` lead to into one pack and removes the others. Whoever reads meanwhile finds in the new pack what is
    /// gone from the old ones: libgit2 looks for packs again where it misses an object. Blocks; not while another one changes the mirror.
    func gather(keeping commits: [ObjectID]) throws(GitError) {
        let old = names
        var repository: OpaquePointer?
        try GitError.check(git_repository_open_bare(&repository, mirror))
        defer { git_repository_free(repository) }
        var walk: OpaquePointer?
        try GitError.check(git_revwalk_new(&walk, repository))
        defer { git_revwalk_free(walk) }
        for names in ["refs/heads/*", "refs/tags/*"] { try GitError.check(git_revwalk_push_glob(walk, names)) }
        for commit in commits {
            var id = git_oid()
            withUnsafeMutableBytes(of: &id.id) { $0.copyBytes(from: commit.bytes) }
            _ = git_revwalk_push(walk, &id)  // one that is gone already is not to be kept
        }
        var builder: OpaquePointer?
        try GitError.check(git_packbuilder_new(&builder, repository))
        defer { git_packbuilder_free(builder) }
        try GitError.check(git_packbuilder_insert_walk(builder, walk))
        try insertTags(of: repository, into: builder)
        try GitError.check(git_packbuilder_write(builder, folder, 0o444, nil, nil))
        let new = Set(names).subtracting(old)
        // The same objects as in one of the old ones give the same name: then nothing is known to be whole but what was there.
        guard !new.isEmpty else { return }
        for name in old where !new.contains(name) {
            for kind in ["idx", "pack", "rev"] { unlink("\(folder)/\(name).\(kind)") }
        }
    }

    /// Tag objects, which no walk over commits meets.
    private func insertTags(of repository: OpaquePointer?, into builder: OpaquePointer?) throws(GitError) {
        var iterator: OpaquePointer?
        try GitError.check(git_reference_iterator_glob_new(&iterator, repository, "refs/tags/*"))
        defer { git_reference_iterator_free(iterator) }
        var reference: OpaquePointer?
        while git_reference_next(&reference, iterator) == 0 {
            defer { git_reference_free(reference) }
            guard let target = git_reference_target(reference) else { continue }
            try GitError.check(git_packbuilder_insert_recur(builder, target, nil))
        }
    }
}
