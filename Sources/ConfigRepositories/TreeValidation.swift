/// The gate in front of a new snapshot: every file of properties in it must be readable.
package struct TreeValidation: Sendable {
    /// The files of the tree that cannot be read, with the reason, by path.
    package let broken: [String: ConfigError]
    private let identities: [String: FileIdentity]

    /// Reads every file of properties of the tree; unchanged files come from the cache of `parsed`. Throws only when the tree itself cannot be read.
    package init(of tree: any FileTree, parsed: ParsedFiles) throws(ConfigError) {
        var broken: [String: ConfigError] = [:]
        var identities: [String: FileIdentity] = [:]
        var waiting = [""]
        while let folder = waiting.popLast() {
            for (name, isFolder) in try tree.list(folder) ?? [] {
                let path = TreePath.join(folder, name)
                guard TreePath.normalised(path) == path else { continue }
                if isFolder {
                    waiting.append(path)
                } else if ParsedFiles.holdsProperties(path) {
                    do { _ = try parsed.file(path, in: tree) } catch {
                        guard error.code == .broken else { throw error }
                        broken[path] = error
                        identities[path] = try tree.identity(of: path)
                    }
                }
            }
        }
        self.broken = broken
        self.identities = identities
    }

    /// Why a step from `old` to here must not be served: a file that the step broke. A file that was broken before as it is now is no reason to hold
    /// back everything else; whoever asks for it gets the error. Nil: the step may be served.
    package func reasonToReject(after old: TreeValidation?) -> ConfigError? {
        guard let old else { return nil }
        let new = broken.filter { old.identities[$0.key] != identities[$0.key] }
        guard let first = new.sorted(by: { $0.key < $1.key }).first?.value else { return nil }
        return new.count == 1 ? first : ConfigError(.broken, "\(first.message) (and \(new.count - 1) more files)")
    }
}
