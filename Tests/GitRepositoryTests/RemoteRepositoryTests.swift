import ConfigModel
import ConfigRepositories
import GitRepository
import Glibc
import Lifecycle
import Locking
import Telemetry
import TestSupport
import Testing

struct RemoteRepositoryTests {
    let upstream: Upstream
    let daemon: Daemon

    init() async throws {
        upstream = try Upstream()
        daemon = try await Daemon(serving: upstream.folder)
    }

    private func repository(
        uri: String? = nil, log: Log = .silent, _ change: (inout GitSettings) -> Void = { _ in }
    ) throws -> GitRepository {
        var settings = GitSettings(uri: uri ?? daemon.uri(), freshness: .onDemand, timeLimit: .seconds(10))
        change(&settings)
        return try GitRepository(settings, data: upstream.data, parsed: parsedFiles(), log: log)
    }

    @Test func `the first answer brings the mirror, later ones wait for a refresh`() async throws {
        let first = try upstream.commit(["application.yml": "v: 1"])
        let repository = try repository()
        #expect(try await repository.version() == first)
        let second = try upstream.commit(["application.yml": "v: 2"])
        #expect(try await repository.version() == first)
        let changes = try await repository.refresh()
        #expect(changes.map(\.to) == [second] && changes.map(\.from) == [first] && changes.map(\.paths) == [["application.yml"]])
        #expect(try await repository.version() == second)
        #expect(try await repository.refresh().isEmpty)
    }

    @Test func `the background brings a commit, and each answer does where the settings ask for it`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        let background = try repository { $0.freshness = .background(every: .milliseconds(200)) }
        let upstream = upstream
        try await background.running {
            #expect(try await background.values() == ["v": "1"])
            try upstream.commit(["application.yml": "v: 2"])
            try await eventually { try await background.values() == ["v": "2"] }
        }
        let eager = try repository { $0.freshness = .onRequest(olderThan: .zero) }
        #expect(try await eager.values() == ["v": "2"])
        #expect(eager.generation == nil)
        try upstream.commit(["application.yml": "v: 3"])
        #expect(try await eager.values() == ["v": "3"])
    }

    @Test func `a label that is not known is looked for once`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        let repository = try repository()
        #expect(try await repository.values() == ["v": "1"])
        try upstream.git("checkout", "-q", "-b", "new")
        try upstream.commit(["application.yml": "v: new"])
        #expect(try await repository.values(label: "new") == ["v": "new"])
        try upstream.git("branch", "newer")
        #expect(await code { _ = try await repository.values(label: "newer") } == .notFound, "asking again at once asks the remote no more")
        try await repository.refresh()
        #expect(try await repository.values(label: "newer") == ["v": "new"])
    }

    @Test func `rewritten history is followed, and what was pushed away cannot be had by its id`() async throws {
        let base = try upstream.commit(["application.yml": "v: 1"])
        let secret = try upstream.commit(["application.yml": "v: secret"])
        let repository = try repository()
        #expect(try await repository.version(label: secret) == secret)
        try upstream.git("reset", "-q", "--hard", base)
        let other = try upstream.commit(["application.yml": "v: 2"])
        let changes = try await repository.refresh()
        #expect(changes.map(\.from) == [secret] && changes.map(\.to) == [other])
        #expect(try await repository.values() == ["v": "2"])
        #expect(await code { _ = try await repository.values(label: secret) } == .notFound)
        #expect(try await repository.version(label: base) == base)
        let audience = Audience(applications: ["app"], profiles: ["default"])
        for commit in [base, other] { #expect(try await repository.contains(commit, for: audience)) }
        #expect(try await !repository.contains(secret, for: audience))
    }

    @Test func `deleted branches and moved tags are followed, also where a name becomes a folder`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        try upstream.git("branch", "doomed")
        try upstream.git("tag", "t")
        let repository = try repository()
        let keeping = try GitRepository(
            GitSettings(uri: daemon.uri(), freshness: .onDemand, followsDeletions: false), data: upstream.data + "2", parsed: parsedFiles())
        for one in [repository, keeping] { #expect(try await one.values(label: "doomed") == ["v": "1"]) }
        try upstream.git("branch", "-D", "doomed")
        try upstream.commit(["application.yml": "v: 2"])
        try upstream.git("tag", "-f", "t")
        let changes = try await repository.refresh()
        #expect(changes.map(\.label) == ["main", "t"])
        #expect(try await repository.values(label: "t") == ["v": "2"])
        #expect(await code { _ = try await repository.values(label: "doomed") } == .notFound)
        try await keeping.refresh()
        #expect(try await keeping.values(label: "doomed") == ["v": "1"])
        try upstream.git("branch", "doomed/deeper")
        try await repository.refresh()
        #expect(try await repository.values(label: "doomed/deeper") == ["v": "2"])
    }

    @Test func `while the remote is away the mirror answers, also after a restart`() async throws {
        let commit = try upstream.commit(["application.yml": "v: 1"])
        #expect(try await repository().version() == commit)
        daemon.stop()
        let repository = try repository()
        #expect(try await repository.version() == commit)
        let audience = Audience(applications: ["app"], profiles: ["default"])
        #expect(repository.status(for: audience).staleSince == nil)
        #expect(await code { try await repository.refresh() } == .unavailable)
        #expect(try await repository.version() == commit)
        #expect(repository.status(for: audience).staleSince != nil)
        let cold = try GitRepository(
            GitSettings(uri: daemon.uri(), freshness: .onDemand), data: upstream.data + "-cold", parsed: parsedFiles())
        #expect(await code { _ = try await cold.values() } == .unavailable)
    }

    @Test func `a repository that cannot be had at start is served when it can`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        let path = upstream.path
        try upstream.move(to: path + "-away")
        let repository = try repository { $0.freshness = .background(every: .milliseconds(100)) }
        let upstream = upstream
        try await repository.running {
            #expect(await code { _ = try await repository.values() } == .unavailable)
            try upstream.move(to: path)
            let reason = Locked<String>("")
            do {
                try await eventually {
                    do { return try await repository.values() == ["v": "1"] } catch {
                        reason.withLock { $0 = "\(error)" }
                        return false
                    }
                }
            } catch {
                Issue.record("\(error): \(reason.withLock { $0 })")
            }
        }
    }

    @Test func `a poison commit is not served, is told once, and is still refused after a restart`() async throws {
        let good = try upstream.commit(["application.yml": "v: 1", "app.yml": "a: 1"])
        let first = try repository()
        let audience = Audience(applications: ["app"], profiles: ["default"])
        #expect(try await first.version() == good)
        let poison = try upstream.commit(["app.yml": "a: 1\nb: [1,\n", "app-dev.properties": "x=\\u12"])
        let told = try await first.refresh()
        let rejected = try #require(told.first?.rejected)
        #expect(told.count == 1 && told.first?.from == good && told.first?.to == poison)
        #expect(rejected.code == .broken)
        #expect(rejected.message.contains("app.yml:") && rejected.message.contains("app-dev.properties:1"))
        #expect(try await first.version() == good)
        #expect(first.status(for: audience).rejected?.version == poison)
        #expect(try await first.refresh().isEmpty)

        let second = try repository()
        let changes = Changes()
        second.onChange { changes.add($0) }
        #expect(try await second.version() == good)
        #expect(changes.all.map(\.to) == [poison] && changes.all.first?.rejected != nil)

        let mended = try upstream.commit(["app.yml": "a: 2", "app-dev.properties": nil])
        let change = try #require(try await second.refresh().first)
        #expect(change.from == good && change.to == mended && change.rejected == nil)
        #expect(try await second.values() == ["v": "1", "a": "2"])
        #expect(second.status(for: audience).rejected == nil)
    }

    @Test func `a file behind a link is judged as what the link says, and is refused only when it broke just now`() async throws {
        try upstream.commit(["parts/base.txt": "v: 1", "README.md": "x"])
        for (link, target) in [("application.yml", "parts/base.txt"), ("old.yml", "README.md")] {
            try #require(symlink(target, upstream.path + "/" + link) == 0)
        }
        let good = try upstream.commit(["README.md": "- [broken as a file of properties"])
        let repository = try repository()
        #expect(try await repository.version() == good)
        try upstream.commit(["parts/base.txt": "v: [1"])
        #expect(try await repository.refresh().first?.rejected?.message.contains("application.yml") == true)
        #expect(try await repository.version() == good)
        let mended = try upstream.commit(["parts/base.txt": "v: 2"])
        try await repository.refresh()
        #expect(try await repository.version() == mended)
    }

    @Test func `files that nobody can ask for do not stop a commit`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        let repository = try repository { $0.searchPaths = ["conf/{application}", "x-*"] }
        #expect(try await repository.values() == ["v": "1"])
        let second = try upstream.commit(["charts/templates/a.yml": "{{ broken", "README.md": "[", "application.yml": "v: 2"])
        try await repository.refresh()
        #expect(try await repository.version() == second)
        for path in ["conf/app/deep/application.yml", "x-1/a.yml", "root.yaml"] {
            try upstream.commit([path: "{{ broken"])
            #expect(try await repository.refresh().first?.rejected != nil, "\(path)")
            try upstream.commit([path: nil])
            #expect(try await repository.refresh().first?.rejected == nil)
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["git", "http", "https", "ssh"])
    func `a server that never answers is given up in time`(scheme: String) async throws {
        let listener = try Listener()
        let repository = try repository(uri: "\(scheme)://127.0.0.1:\(listener.port)/x.git") {
            $0.timeLimit = .milliseconds(500)
            $0.checksServer = false
        }
        let clock = ContinuousClock()
        let took = await clock.measure {
            do throws(ConfigError) {
                try await repository.refresh()
                Issue.record("a silent server cannot be read")
            } catch {
                #expect(error.code == .unavailable)
                #expect(error.message.contains("did not answer within"))
            }
        }
        #expect(took < .seconds(40))  // other tests hold the pool meanwhile; without the limit it would be for ever
    }

    @Test func `many who ask for a refresh share one look, and none misses what was there before`() async throws {
        try upstream.commit(["application.yml": "v: 0"])
        let repository = try repository()
        _ = try await repository.values()
        let upstream = upstream
        for round in 1...3 {
            let commit = try upstream.commit(["application.yml": "v: \(round)"])
            try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await repository.refresh()
                        return try await repository.version()
                    }
                }
                for try await version in group { #expect(version == commit) }
            }
        }
    }

    @Test func `neither password nor token is shown`() async throws {
        let lines = Locked<[String]>([])
        let log = Log(part: "test") { _, line in lines.withLock { $0.append(line) } }
        let port = freePort()
        let repository = try repository(uri: "http://me:hunter2@127.0.0.1:\(port)/x.git", log: log) { $0.credentials.password = "s3cret" }
        do throws(ConfigError) {
            try await repository.refresh()
            Issue.record("nobody listens there")
        } catch {
            #expect(error.message.contains("127.0.0.1:\(port)"))
            for text in [error.message, "\(error)", repository.name, "\(repository.settings.credentials)"] + lines.withLock({ $0 }) {
                #expect(!text.contains("hunter2") && !text.contains("s3cret"))
            }
        }
        #expect(!lines.withLock { $0.isEmpty })
    }

    @Test(.timeLimit(.minutes(1)))
    func `who is told of a change may ask the repository again`() async throws {
        try upstream.commit(["application.yml": "v: 1"])
        let repository = try repository { $0.freshness = .onRequest(olderThan: .zero) }
        let told = Locked<[String]>([])
        repository.onChange { change in
            let values = try? await repository.values()
            told.withLock { $0.append("\(change.to.prefix(7)) \(values?["v"] ?? "")") }
        }
        let upstream = upstream
        try await repository.running {
            try await eventually { told.withLock { $0.count } == 1 }
            let second = try upstream.commit(["application.yml": "v: 2"])
            #expect(try await repository.values() == ["v": "2"])
            try await eventually { told.withLock { $0.last } == "\(second.prefix(7)) 2" }
        }
    }

    @Test func `very many fetches leave few packs, and everything is still there`() async throws {
        let first = try upstream.commit(["application.yml": "v: 0"])
        try upstream.git("tag", "-a", "start", "-m", "annotated")
        let repository = try repository()
        let other = try self.repository()
        #expect(try await repository.values() == ["v": "0"])
        #expect(try await other.values() == ["v": "0"])
        for round in 1...55 {
            try upstream.commit(["application.yml": "v: \(round)"])
            try await repository.refresh()
        }
        #expect(try upstream.packs().count <= 10)
        for one in [repository, other, try self.repository()] {
            #expect(try await one.version(label: first) == first)
            #expect(try await one.values(label: "start") == ["v": "0"])
        }
        #expect(try await repository.values() == ["v": "55"])
        #expect(try await self.repository().values() == ["v": "55"])
    }

    @Test func `what a killed process leaves behind is cleared away`() async throws {
        let first = try upstream.commit(["application.yml": "v: 1"])
        try upstream.git("branch", "feature/x")
        #expect(try await repository().version() == first)
        let mirror = try #require(try upstream.mirrors().first)
        // Half-written references, their locks, a record that is no record, and a pack that never became whole.
        for file in ["refs/heads/main.lock", "refs/heads/feature/x.lock", "packed-refs.lock", "objects/pack/pack_git2_abcdef"] {
            try upstream.write("", to: mirror + "/" + file)
        }
        try upstream.write("", to: mirror + "/refs/heads/feature/x")
        try upstream.write("\u{0}\u{1}garbage\n" + String(repeating: "z", count: 40) + " main\n", to: mirror + "/../served")
        let second = try upstream.commit(["application.yml": "v: 2"])
        let repository = try repository()
        #expect(try await repository.version() == first)
        #expect(try await repository.refresh().contains { $0.label == "main" && $0.to == second })
        #expect(try await repository.version() == second)
        #expect(try await repository.version(label: "feature/x") == first)
    }

    @Test func `two repositories on one mirror do not disturb each other`() async throws {
        try upstream.commit(["application.yml": "v: 0"])
        let both = [try repository(), try repository()]
        for round in 1...5 {
            let commit = try upstream.commit(["application.yml": "v: \(round)"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for one in both { group.addTask { try await one.refresh() } }
                try await group.waitForAll()
            }
            for one in both { #expect(try await one.version() == commit) }
        }
    }
}
