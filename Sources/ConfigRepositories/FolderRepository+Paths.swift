import Glibc

extension FolderRepository {
    /// The path from the root of the file system, without trailing slash; `file:` in front is Spring's way to write it.
    static func absolute(_ location: String) -> String {
        var path = location
        if path.hasPrefix("file:") { path = String(path.dropFirst(5)) }
        if path.hasPrefix("//") { path = "/" + path.drop { $0 == "/" } }
        if !path.hasPrefix("/"), let folder = getcwd(nil, 0) {
            defer { free(folder) }
            path = "\(String(cString: folder))/\(path)"
        }
        var segments: [Substring] = []
        for segment in path.split(separator: "/") where segment != "." {
            if segment == ".." { _ = segments.popLast() } else { segments.append(segment) }
        }
        return "/" + segments.joined(separator: "/")
    }

    /// The folders to read for these patterns: each up to its first placeholder or wildcard, without those that lie in another.
    static func roots(_ patterns: [String]) -> [String] {
        let fixed = patterns.map { pattern in
            "/"
                + pattern.split(separator: "/").prefix { !$0.contains("{") && !$0.contains("*") && !$0.contains("?") }.joined(
                    separator: "/")
        }
        var roots: [String] = []
        for path in fixed where !roots.contains(path) { roots.append(path) }
        return roots.filter { path in !roots.contains { $0 != path && path.hasPrefix($0 == "/" ? "/" : $0 + "/") } }
    }
}
