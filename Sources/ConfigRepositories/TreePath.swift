/// Paths in a file tree: no leading slash, no empty or dot segments, never into `.git`.
package enum TreePath {
    /// The path with empty and `.` segments removed. Nil when it climbs out of the tree, names `.git`, or has a NUL: there is no such file.
    package static func normalised(_ path: some StringProtocol) -> String? {
        var segments: [Substring] = []
        for segment in String(path).split(separator: "/") where segment != "." {
            guard segment != "..", segment.lowercased() != ".git", !segment.utf8.contains(0) else { return nil }
            segments.append(segment)
        }
        return segments.joined(separator: "/")
    }

    /// As `normalised`, with `..` taken as the folder above; nil when that leads out of the tree.
    package static func resolved(_ path: some StringProtocol) -> String? {
        var segments: [Substring] = []
        for segment in String(path).split(separator: "/") where segment != "." {
            if segment == ".." {
                guard segments.popLast() != nil else { return nil }
            } else {
                segments.append(segment)
            }
        }
        return normalised(segments.joined(separator: "/"))
    }

    /// A file or folder within a folder.
    package static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : name.isEmpty ? folder : "\(folder)/\(name)"
    }

    /// The folder that a path lies in; "" for the root.
    package static func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }

    /// The last segment of a path.
    package static func name(of path: String) -> String { path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path }
}

extension FileTree {
    /// Whether the folder exists; the root always does.
    package func isFolder(_ path: String) throws(ConfigError) -> Bool {
        if path.isEmpty { return true }
        return try list(path) != nil
    }

    /// Folders that a pattern means, in the order of their names: `*` and `?` within a segment, `**` for any number of segments.
    package func folders(matching pattern: String) throws(ConfigError) -> [String] {
        guard let path = TreePath.normalised(pattern) else { return [] }
        guard path.contains(where: { $0 == "*" || $0 == "?" }) else { return try isFolder(path) ? [path] : [] }
        var found: [String] = []
        var visits = 0
        try collect("", path.split(separator: "/").map(String.init)[...], &visits, &found)
        return found
    }

    private func collect(
        _ folder: String, _ pattern: ArraySlice<String>, _ visits: inout Int, _ found: inout [String]
    ) throws(ConfigError) {
        visits += 1
        guard visits <= 20_000 else { throw ConfigError(.broken, "a search path with * matches too many folders; name them more closely") }
        guard let segment = pattern.first else {
            if !found.contains(folder) { found.append(folder) }
            return
        }
        guard segment.contains(where: { $0 == "*" || $0 == "?" }) else {
            let next = TreePath.join(folder, segment)
            if try isFolder(next) { try collect(next, pattern.dropFirst(), &visits, &found) }
            return
        }
        if segment == "**" { try collect(folder, pattern.dropFirst(), &visits, &found) }
        for (name, isFolder) in try (list(folder) ?? []).sorted(by: { $0.name < $1.name }) where isFolder && name.lowercased() != ".git" {
            if segment == "**" {
                try collect(TreePath.join(folder, name), pattern, &visits, &found)
            } else if Wildcard.matches(segment, name) {
                try collect(TreePath.join(folder, name), pattern.dropFirst(), &visits, &found)
            }
        }
    }
}

/// Simple patterns: `*` any text, `?` one character.
package enum Wildcard {
    /// Whether the whole text matches; takes time proportional to both lengths at worst, whatever the pattern.
    package static func matches(_ pattern: some StringProtocol, _ text: some StringProtocol) -> Bool {
        let pattern = Array(pattern.unicodeScalars)
        let text = Array(text.unicodeScalars)
        var p = 0
        var t = 0
        var star = -1
        var mark = 0
        while t < text.count {
            if p < pattern.count, pattern[p] == "*" {
                star = p
                mark = t
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if star >= 0 {
                p = star + 1
                mark += 1
                t = mark
            } else {
                return false
            }
        }
        while p < pattern.count, pattern[p] == "*" { p += 1 }
        return p == pattern.count
    }
}
