package import ConfigModel

/// Makes the answer for an audience from a file tree: which files, in which order, under which names (config.md §1.3, §1.4, §1.9). Pure but for the
/// cache of parsed files: the same tree and audience give the same answer.
package struct EnvironmentBuilder: Sendable {
    /// Where files are looked for in a tree, lowest precedence first.
    package enum Locations: Sendable, Hashable {
        /// The root, then these folders, with `{application}`, `{profile}`, `{label}` and wildcards: repositories with labels of their own.
        case searchPaths([String])
        /// Exactly these folders, with the same placeholders; where `labels` is true also the folder named like the label within each.
        case folders([String], labels: Bool)
    }
    package let locations: Locations
    /// What stands before a file's path in the name of a source: `https://git.example/cfg.git/`.
    package let prefix: String
    /// Whether a profile must consist of letters, digits and `-_.+@`.
    package let checksProfiles: Bool
    package let parsed: ParsedFiles

    package init(locations: Locations = .searchPaths([]), prefix: String, checksProfiles: Bool = true, parsed: ParsedFiles) {
        self.locations = locations
        self.prefix = prefix
        self.checksProfiles = checksProfiles
        self.parsed = parsed
    }

    /// The property sources of one tree, highest precedence first. `label` is what `{label}` in search paths stands for: one label, never a list.
    /// Throws `.invalid` for a name that is not allowed and `.broken` for a file that cannot be read.
    package func sources(in tree: any FileTree, for audience: Audience, label: String) throws(ConfigError) -> [PropertySource] {
        let profiles = try Names.checkedProfiles(audience, strict: checksProfiles)
        let applications = audience.applications.filter { !$0.isEmpty }
        var names = ["application"]
        for name in applications where !names.contains(name) { names.append(name) }
        var data = ConfigDataTree(tree: tree, parsed: parsed, locations: try folders(in: tree, for: audience, label: label), names: names)
        return try data.documents(for: profiles).map { document in
            let number = document.number.map { " (document #\($0))" } ?? ""
            return PropertySource(name: prefix + document.path + number, properties: document.properties)
        }
    }

    /// The file that a plain text request means: the first that exists by location, then by profile (`notes-dev.txt`), then as named. Nil when there
    /// is none. Throws as `sources` does.
    package func resource(
        _ path: String, in tree: any FileTree, for audience: Audience, label: String
    ) throws(ConfigError) -> ConfigResource? {
        guard Names.isResourcePath(path) else { return nil }
        let profiles = try Names.checkedProfiles(audience, strict: checksProfiles)
        let name = TreePath.name(of: path)
        let dot =
            name.lastIndex(of: ".").map { path.index(path.endIndex, offsetBy: -name.distance(from: $0, to: name.endIndex)) }
            ?? path.endIndex
        for location in try folders(in: tree, for: audience, label: label) {
            for candidate in profiles.map({ $0 == "default" ? path : "\(path[..<dot])-\($0)\(path[dot...])" }) + [path] {
                guard let full = TreePath.normalised(TreePath.join(location, candidate)) else { continue }
                if let bytes = try tree.file(full) {
                    return ConfigResource(path: full, bytes: bytes, version: tree.version, modified: tree.modified(full))
                }
            }
        }
        return nil
    }

    /// The folders that exist for the audience, lowest precedence first, each once.
    package func folders(in tree: any FileTree, for audience: Audience, label: String) throws(ConfigError) -> [String] {
        // An empty name, which only a flat form can have, stands for nobody: nothing is served to it.
        guard audience.applications.contains(where: { !$0.isEmpty }), audience.profiles.contains(where: { !$0.isEmpty }) else { return [] }
        var result: [String] = []
        func add(_ folders: [String]) { for folder in folders where !result.contains(folder) { result.append(folder) } }
        func filled(_ pattern: String) -> [String] {
            guard pattern.contains("{") else { return [pattern] }
            return audience.profiles.flatMap { profile in
                audience.applications.map { application in
                    pattern.replacing("{application}", with: application).replacing("{profile}", with: profile)
                        .replacing("{label}", with: label)
                }
            }
        }
        switch locations {
        case .searchPaths(let patterns):
            add([""])
            for pattern in patterns { for one in filled(pattern) { add(try tree.folders(matching: one)) } }
        case .folders(let patterns, let labels):
            for pattern in patterns { for one in filled(pattern) { add(try tree.folders(matching: one)) } }
            guard labels else { break }
            let names = label.split(separator: ",").map(\.trimmingBlanks).filter { !$0.isEmpty }
            for pattern in patterns {
                for one in filled(pattern) { for name in names { add(try tree.folders(matching: one + "/" + name)) } }
            }
        }
        return result
    }
}
