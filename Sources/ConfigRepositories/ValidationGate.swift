/// Stands between a new snapshot and those who ask: a file that cannot be read is told before it is served, not after.
package struct ValidationGate: Sendable {
    private let searchPaths: [[String]]
    private let parsed: ParsedFiles

    /// `searchPaths` as in `EnvironmentBuilder`: the root is always one of them. What is parsed here is kept in `parsed` for the answers to come.
    package init(searchPaths: [String], parsed: ParsedFiles) {
        self.searchPaths = [[]] + searchPaths.map { $0.split(separator: "/").map(String.init).filter { $0 != "." } }
        self.parsed = parsed
    }

    /// Throws `.broken` naming each file among `paths` that holds properties, can be asked for by some audience, and cannot be read (at most
    /// five by name); files that are not in the tree (any more) count as good. Throws what the tree throws.
    package func check(_ paths: some Sequence<String>, in tree: any FileTree) throws(ConfigError) {
        var failures: [String] = []
        var count = 0
        for path in paths where covers(path) {
            do { _ = try parsed.file(path, in: tree) } catch {
                guard error.code == .broken else { throw error }
                count += 1
                if failures.count < 5 { failures.append(error.message) }
            }
        }
        guard count > 0 else { return }
        throw ConfigError(
            .broken, failures.joined(separator: "; ") + (count > failures.count ? "; and \(count - failures.count) more files" : ""))
    }

    /// Whether a path is that of a property file in a folder that some audience's search paths lead to.
    package func covers(_ path: String) -> Bool {
        guard ParsedFiles.holdsProperties(path) else { return false }
        let folder = TreePath.folder(of: path).split(separator: "/").map(String.init)
        return searchPaths.contains { Self.matches($0[...], folder[...]) }
    }

    /// Placeholders match any text, and one that is a whole segment any number of segments: a name may have slashes.
    private static func matches(_ pattern: ArraySlice<String>, _ folder: ArraySlice<String>) -> Bool {
        guard let segment = pattern.first else { return folder.isEmpty }
        if segment == "**" || segment.hasPrefix("{") && segment.hasSuffix("}") {
            return (0...folder.count).contains { matches(pattern.dropFirst(), folder.dropFirst($0)) }
        }
        guard let name = folder.first else { return false }
        var wild = segment
        for placeholder in ["{application}", "{profile}", "{label}"] { wild = wild.replacing(placeholder, with: "*") }
        return Wildcard.matches(wild, name) && matches(pattern.dropFirst(), folder.dropFirst())
    }
}
