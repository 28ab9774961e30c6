import ConfigModel
import ConfigRepositories
import Glibc
import GitRepository
import Testing
import TestSupport

struct LocalRepositoryTests {
    let origin: Upstream

    init() throws { origin = try Upstream() }

    private func repository(_ change: (inout GitSettings) -> Void = { _ in }) throws -> GitRepository {
        var settings = GitSettings(uri: "file://\(origin.path)")
        change(&settings)
        return try GitRepository(settings, data: origin.data, parsed: parsedFiles())
    }

    @Test func `sources are named by the uri and carry the commit`() async throws {
        let commit = try origin.commit(["application.yml": "port: 80", "app-dev.yml": "port: 8080"])
        let environment = try await repository().environment(for: Audience(applications: ["app"], profiles: ["dev"]))
        #expect(environment.version == commit)
        #expect(environment.state == "")
        #expect(environment.propertySources.map(\.name) == ["file://\(origin.path)/app-dev.yml", "file://\(origin.path)/application.yml"])
    }

    @Test func `a branch, a tag and a commit id are labels, expressions and plumbing are not`() async throws {
        let first = try origin.commit(["application.yml": "v: 1"])
        try origin.git("tag", "-a", "v1", "-m", "one")
        try origin.git("branch", "feature/x")
        let second = try origin.commit(["application.yml": "v: 2"])
        let tag = try origin.git("rev-parse", "v1")
        let repository = try repository()
        for label in ["v1", "feature/x", first, String(first.prefix(7)), tag] {
            #expect(try await repository.values(label: label) == ["v": "1"], "\(label)")
        }
        for label in [nil, "main", second] { #expect(try await repository.values(label: label) == ["v": "2"]) }
        for label in [
            "HEAD", "main~1", "refs/heads/main", "heads/main", "feature", "Main", "\0", String(repeating: "0", count: 40), "zz",
            first + "0",
        ] {
            #expect(await code { _ = try await repository.values(label: label) } == .notFound, "\(label)")
        }
    }

    @Test func `several labels are one answer, the last on top, or none when one is missing`() async throws {
        let base = try origin.commit(["application.yml": "v: main\nm: 1"])
        try origin.git("checkout", "-q", "-b", "b")
        let other = try origin.commit(["application.yml": "v: b"])
        let repository = try repository()
        #expect(try await repository.values(label: "main,b") == ["v": "b", "m": "1"])
        #expect(try await repository.version(label: "main,b") == "\(base),\(other)")
        #expect(await code { _ = try await repository.values(label: "main,nope") } == .notFound)
        #expect(try await self.repository { $0.skipsMissingLabels = true }.values(label: "main,nope") == ["v": "main", "m": "1"])
    }

    @Test func `without main the default label means master, unless told otherwise`() async throws {
        try origin.git("checkout", "-q", "-b", "master")
        try origin.commit(["application.yml": "v: 1"])
        #expect(try await repository().values() == ["v": "1"])
        #expect(try await repository().values(label: "main") == ["v": "1"])
        #expect(await code { _ = try await repository { $0.triesMaster = false }.values() } == .notFound)
        #expect(await code { _ = try await repository { $0.defaultLabel = "trunk" }.values() } == .notFound)
    }

    @Test func `links lead within the tree only, and submodules are not there`() async throws {
        try origin.commit(["shared/base.yml": "v: shared", "secret.txt": "s"])
        try origin.git("config", "core.symlinks", "true")
        for (link, target) in [
            ("application.yml", "shared/base.yml"), ("up.yml", "shared/../shared/./base.yml"), ("out.yml", "../origin/shared/base.yml"),
            ("absolute.yml", "/etc/hostname"), ("loop.yml", "loop.yml"), ("etc", "/etc"), ("inner", "shared"),
        ] {
            try #require(symlink(target, origin.path + "/" + link) == 0)
        }
        let commit = try origin.git("rev-parse", "HEAD")
        try origin.git("update-index", "--add", "--cacheinfo", "160000,\(commit),module")
        try origin.commit([:], "links")
        let repository = try repository { $0.searchPaths = ["inner"] }
        #expect(try await repository.values() == ["v": "shared"])
        #expect(try await repository.values("up") == ["v": "shared"])
        for outside in ["out", "absolute", "loop"] { #expect(try await repository.values(outside) == ["v": "shared"]) }
        let audience = Audience(applications: ["app"], profiles: ["default"], label: "main")
        #expect(try await repository.resource("base.yml", for: audience).path == "inner/base.yml")
        for path in ["etc/hostname", ".git/config", "../origin/secret.txt", "shared/../secret.txt", "absolute.yml", "loop.yml", "module"] {
            #expect(await code { _ = try await repository.resource(path, for: audience) } == .notFound, "\(path)")
        }
    }

    @Test func `a commit is seen without being told, and the change names what it touched`() async throws {
        let first = try origin.commit(["application.yml": "v: 1", "app.yml": "a: 1"])
        let (repository, origin) = (try repository(), origin)
        let changes = Changes()
        repository.onChange { changes.add($0) }
        try await repository.running {
            try await eventually { changes.all.count == 1 }
            let generation = try #require(repository.generation)
            let second = try origin.commit(["app.yml": "a: 2", "sub/new.yml": "n: 1"], "raise a\n\nlong text")
            try await eventually(within: .seconds(2)) { try await repository.values()["a"] == "2" }
            try await eventually { changes.all.count == 2 }
            let change = try #require(changes.all.last)
            #expect(change.label == "main" && change.from == first && change.to == second)
            #expect(change.author == "Ada" && change.summary == "raise a" && change.time == 1_700_000_002_000)
            #expect(change.paths == ["app.yml", "sub/new.yml"] && change.rejected == nil)
            #expect(try #require(repository.generation) > generation)
            let audience = Audience(applications: ["app"], profiles: ["default"])
            #expect(try await change.before?.environment(for: audience).values == ["v": "1", "a": "1"])
            #expect(try await change.after.environment(for: audience).values == ["v": "1", "a": "2"])
            // Many references, made and packed away while it looks.
            for number in 0..<5 { try origin.git("branch", "f/\(number)/x") }
            try origin.git("pack-refs", "--all")
            try await eventually { try await repository.version(label: "f/4/x") == second }
            try origin.git("branch", "-D", "f/4/x")
            try await eventually { await code { _ = try await repository.values(label: "f/4/x") } == .notFound }
        }
    }

    @Test func `a repository that is not there is unavailable, or not found where told so`() async throws {
        let settings = GitSettings(uri: origin.folder + "/nothing")
        let repository = try GitRepository(settings, data: origin.data, parsed: parsedFiles())
        #expect(await code { _ = try await repository.values() } == .unavailable)
        var other = settings
        other.absence = .notFound
        let silent = try GitRepository(other, data: origin.data, parsed: parsedFiles())
        #expect(await code { _ = try await silent.values() } == .notFound)
    }

    @Test func `values in the uri choose the repository and never lead elsewhere`() async throws {
        try origin.commit(["application.yml": "v: 1"])
        let repository = try GitRepository(
            GitSettings(uri: "file://\(origin.folder)/{application}"), data: origin.data, parsed: parsedFiles())
        #expect(try await repository.values("origin") == ["v": "1"])
        for name in [
            "other", "../\(origin.folder.split(separator: "/").last ?? "")/origin", "origin/../origin", ".git", "-x", "a b", "origin,other",
            "%2e", "o#x", "o\0",
        ] {
            #expect(await code { _ = try await repository.values(name) } == .notFound, "\(name)")
        }
    }
}
