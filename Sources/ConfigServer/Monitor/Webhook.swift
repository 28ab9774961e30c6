package import HTTP
package import JSON

/// What a web hook says: which files of which branches somebody pushed. A value; nothing of it is trusted beyond "something changed".
package struct Webhook: Sendable, Hashable {
    /// Who can send one, in the order in which they are tried: a sender that speaks for several (Gitea also says Gogs and GitHub) is the first.
    package enum Provider: String, Sendable, CaseIterable {
        case github, plain, gitlab, gogs, gitee, gitea
        case bitbucketCloud = "bitbucket"
        case bitbucketServer = "bitbucketserver"
    }

    package let provider: Provider
    /// Changed files, as far as the sender names them; `application.yml`, which stands for everybody, where it does not.
    package let paths: [String]
    /// Branches and tags that were pushed (`refs/heads/main`); empty where the sender names none.
    package let references: [String]

    /// Nil for events that are no push (pings, tags, comments), and for bodies without what the event is known by.
    package init?(_ headers: HTTPHeaders, _ body: JSONValue, disabled: Set<Provider> = []) {
        for provider in Provider.allCases where !disabled.contains(provider) {
            guard let paths = Self.paths(provider, headers, body) else { continue }
            self.provider = provider
            self.paths = paths
            references = Self.references(body)
            return
        }
        return nil
    }

    /// From `path` parameters of a form.
    package init(paths: [String]) {
        provider = .plain
        self.paths = paths
        references = []
    }

    private static func paths(_ provider: Provider, _ headers: HTTPHeaders, _ body: JSONValue) -> [String]? {
        switch provider {
        case .github: headers["X-GitHub-Event"] == "push" ? changed(body) : nil
        case .gitlab: headers["X-Gitlab-Event"] == "Push Hook" ? changed(body) : nil
        case .gogs: headers["X-Gogs-Event"] == "push" ? changed(body) : nil
        case .gitee: headers["X-Git-Oschina-Event"] == "Push Hook" ? changed(body) : nil
        case .plain: plain(body["path"])
        case .gitea: headers["X-Gitea-Event"] == "push" && body["commits"]?.items != nil ? everybody : nil
        case .bitbucketCloud:
            headers["X-Hook-UUID"] != nil && ["repo:push", "pullrequest:fulfilled"].contains(headers["X-Event-Key"])
                && body["push"]?["changes"]?.items != nil ? everybody : nil
        case .bitbucketServer:
            headers["X-Request-Id"] != nil
                && (headers["X-Event-Key"] == "pr:merged" || headers["X-Event-Key"] == "repo:refs_changed" && body["changes"]?.items != nil)
                ? everybody : nil
        }
    }

    private static let everybody = ["application.yml"]

    private static func plain(_ path: JSONValue?) -> [String]? {
        switch path {
        case .string(let one): [one]
        case .array(let items): items.compactMap(\.string)
        default: nil
        }
    }

    /// Files that the commits name, in their order, each once.
    private static func changed(_ body: JSONValue) -> [String]? {
        guard let commits = body["commits"]?.items else { return nil }
        var paths: [String] = []
        var seen: Set<String> = []
        for commit in commits {
            for kind in ["added", "removed", "modified"] {
                for path in commit[kind]?.items ?? [] { if let path = path.string, seen.insert(path).inserted { paths.append(path) } }
            }
        }
        return paths
    }

    private static func references(_ body: JSONValue) -> [String] {
        var references: [String] = []
        if let one = body["ref"]?.string { references.append(one) }
        for change in body["changes"]?.items ?? [] {
            if let id = change["ref"]?["id"]?.string ?? change["refId"]?.string { references.append(id) }
        }
        for change in body["push"]?["changes"]?.items ?? [] {
            // Without `new` the branch was deleted.
            let now = change["new"] ?? .null
            guard let name = (now == .null ? change["old"] : now)?["name"]?.string else { continue }
            references.append((now["type"]?.string == "tag" ? "refs/tags/" : "refs/heads/") + name)
        }
        return references
    }

    /// The applications that the original takes to be meant by the paths: the file's name without extension, and each of its beginnings that end
    /// before a hyphen, since where a name ends and a profile begins cannot be seen; `*` for the file that all share. In order, each once.
    /// More than a thousand are everybody.
    package var guessedServices: [String] {
        var services: [String] = []
        var seen: Set<String> = []
        func add(_ name: Substring) {
            let service = name == "application" ? "*" : String(name)
            if seen.insert(service).inserted { services.append(service) }
        }
        for path in paths {
            let file = path[(path.lastIndex { $0 == "/" || $0 == "\\" }.map { path.index(after: $0) } ?? path.startIndex)...]
            guard file.utf8.count <= Self.longestName else { continue }
            var stem = file.lastIndex(of: ".").map { file[..<$0] } ?? file
            add(stem)
            while let hyphen = stem.lastIndex(of: "-"), hyphen > stem.startIndex {
                stem = stem[..<hyphen]
                add(stem)
            }
            guard services.count <= Self.mostServices else { return ["*"] }
        }
        return services
    }

    /// Longer than this no file's name is.
    private static let longestName = 255
    private static let mostServices = 1000
}
