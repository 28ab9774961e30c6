import ConfigModel

/// What one audience reads of one file tree, gathered the way Spring Boot does it: first all that depends on no profile, then the profiles that
/// files add, then what those profiles activate. Each file counts once, at the place where it was first needed.
struct ConfigDataTree {
    /// A document with what it imports, or the root, which stands for the search locations.
    private final class Node {
        let document: ConfigDocument?
        /// Imported before profiles were known; nil until that was looked at.
        var plain: [Node]?
        /// Imported because of profiles; nil until that was looked at.
        var forProfiles: [Node]?

        init(_ document: ConfigDocument?) { self.document = document }

        /// Highest precedence first.
        func walk(_ visit: (Node) throws(ConfigError) -> Bool) throws(ConfigError) -> Bool {
            for child in forProfiles ?? [] { if try !child.walk(visit) { return false } }
            for child in plain ?? [] { if try !child.walk(visit) { return false } }
            return try visit(self)
        }
    }

    /// More files than this for one audience are an error: an import bomb.
    private static let fileLimit = 1000

    let tree: any FileTree
    let parsed: ParsedFiles
    /// Folders, lowest precedence first.
    let locations: [String]
    /// File stems, lowest precedence first.
    let names: [String]

    private var loaded: Set<String> = []
    private let root = Node(nil)

    init(tree: any FileTree, parsed: ParsedFiles, locations: [String], names: [String]) {
        self.tree = tree
        self.parsed = parsed
        self.locations = locations
        self.names = names
    }

    /// The active documents for the requested profiles, highest precedence first. Throws `.broken` for a file that cannot be read.
    mutating func documents(for requested: [String]) throws(ConfigError) -> [ConfigDocument] {
        try process(nil)
        let profiles = try activeProfiles(requested)
        try process(profiles)
        var result: [ConfigDocument] = []
        _ = try root.walk { (node) throws(ConfigError) in
            if let document = node.document {
                try document.checkCondition()
                if document.isActive(profiles) { result.append(document) }
            }
            return true
        }
        return result
    }

    /// Loads the imports of one active document after the other, always the one of highest precedence next, until there is none left.
    private mutating func process(_ profiles: [String]?) throws(ConfigError) {
        while true {
            var next: Node?
            _ = try root.walk { (node) throws(ConfigError) in
                guard profiles == nil ? node.plain == nil : node.forProfiles == nil else { return true }
                if let document = node.document, document.imports.isEmpty || !document.isActive(profiles) { return true }
                next = node
                return false
            }
            guard let next else { return }
            let children = try load(next.document, profiles)
            if profiles == nil { next.plain = children } else { next.forProfiles = children }
        }
    }

    private mutating func load(_ document: ConfigDocument?, _ profiles: [String]?) throws(ConfigError) -> [Node] {
        // Candidates, lowest precedence first. What was loaded already is skipped below.
        var candidates: [(path: String, isProfileSpecific: Bool)] = []
        var imports: [(stem: String, extensions: [String])] = []
        if let document {
            for text in document.imports { imports += try stems(of: text, in: document) }
        } else {
            imports = locations.flatMap { location in names.map { (TreePath.join(location, $0), ParsedFiles.extensions) } }
        }
        for (stem, extensions) in imports {
            candidates += extensions.map { ("\(stem).\($0)", false) }
        }
        for profile in profiles ?? [] {
            for (stem, extensions) in imports { candidates += extensions.map { ("\(stem)-\(profile).\($0)", true) } }
        }
        var nodes: [Node] = []
        for (path, isProfileSpecific) in candidates.reversed() {
            guard let path = TreePath.normalised(path), !loaded.contains(path), let file = try parsed.file(path, in: tree) else { continue }
            guard loaded.count < Self.fileLimit else {
                throw ConfigError(.broken, "\(path): more than \(Self.fileLimit) files are imported for one application; import fewer")
            }
            loaded.insert(path)
            for (number, properties) in file.documents.enumerated().reversed() {
                nodes.append(
                    Node(
                        try ConfigDocument(
                            path: path, shown: tree.shown(path), number: file.documents.count > 1 ? number : nil,
                            isProfileSpecific: isProfileSpecific,
                            properties: properties)))
            }
        }
        return nodes
    }

    /// The files that an import means, without extension. Imports of other schemes, and those that lead out of the tree, mean none: what is missing
    /// is not an error, as in the original.
    private func stems(of text: String, in document: ConfigDocument) throws(ConfigError) -> [(stem: String, extensions: [String])] {
        var location = try resolve(text, in: document)
        if location.hasPrefix("optional:") { location = String(location.dropFirst(9)) }
        guard !location.contains(":") else { return [] }
        var hint: String?
        if location.hasSuffix("]"), let bracket = location.lastIndex(of: "["), location[bracket...].hasPrefix("[.") {
            hint = String(location[bracket...].dropFirst(2).dropLast())
            location = String(location[..<bracket])
        }
        let base = location.hasPrefix("/") ? "" : TreePath.folder(of: document.path)
        let isFolder = location.hasSuffix("/")
        guard let path = TreePath.resolved(TreePath.join(base, location)) else { return [] }
        if isFolder { return names.map { (TreePath.join(path, $0), ParsedFiles.extensions) } }
        if let hint {
            // `file[.yml]` is a file without extension that is read as YAML: nothing in the tree can be read by a name without extension.
            return ParsedFiles.extensions.contains(hint) && !path.isEmpty ? [(path, [hint])] : []
        }
        guard TreePath.name(of: path).contains("."), let end = path.lastIndex(of: ".") else { return [] }
        let ending = String(path[path.index(after: end)...])
        return ParsedFiles.extensions.contains(ending) ? [(String(path[..<end]), [ending])] : []
    }

    /// Placeholders of an import, from what is loaded by now.
    private func resolve(_ text: String, in document: ConfigDocument) throws(ConfigError) -> String {
        guard text.contains("${") else { return text }
        var values: [String: String] = [:]
        for property in document.properties { values[property.key] = property.value.text }
        _ = try root.walk { (node) throws(ConfigError) in
            for property in node.document?.properties ?? [] where values[property.key] == nil {
                values[property.key] = property.value.text
            }
            return true
        }
        do { return try Placeholders.resolve(text) { values[$0] } } catch {
            throw ConfigError(.broken, "\(document.shown): an import: \(error)")
        }
    }

    /// The requested profiles, those that files include in front of them, and the members of groups behind their group.
    private func activeProfiles(_ requested: [String]) throws(ConfigError) -> [String] {
        var included: [String] = []
        var groups: [String: [String]] = [:]
        _ = try root.walk { (node) throws(ConfigError) in
            guard let document = node.document else { return true }
            try document.checkCondition()
            guard document.isActive(nil) else { return true }
            included += document.includes
            for (profile, members) in document.groups where groups[profile] == nil { groups[profile] = members }
            return true
        }
        var stack = Array((included + requested).reversed())
        var result: [String] = []
        var seen: Set<String> = []
        while let profile = stack.popLast() {
            guard seen.insert(profile).inserted else { continue }
            result.append(profile)
            stack += (groups[profile] ?? []).reversed()
        }
        return result
    }
}
