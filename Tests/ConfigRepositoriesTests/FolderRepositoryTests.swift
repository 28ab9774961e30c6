import ConfigModel
import ConfigRepositories
import Lifecycle
import Locking
import TestSupport
import Testing

struct FolderRepositoryTests {
    let folder: TemporaryFolder
    let repository: FolderRepository
    let audience = Audience(applications: ["foo"], profiles: ["dev"])

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("application.yml", "a: 1")
        repository = FolderRepository(
            FolderRepository.Settings(locations: [folder.path], interval: .milliseconds(20)), parsed: ParsedFiles())
    }

    func value(_ key: String, _ audience: Audience? = nil) async throws -> PropertyValue? {
        try await repository.environment(for: audience ?? self.audience).merged[key]
    }

    @Test func `what the folder held is served until a look finds something else`() async throws {
        #expect(try await value("a") == .integer(1))
        let generation = try #require(repository.generation)
        try folder.write("application.yml", "a: 2")
        #expect(try await value("a") == .integer(1))
        let changes = try await repository.refresh()
        #expect(changes.map(\.paths) == [[String((folder.path + "/application.yml").dropFirst())]])
        #expect(try await value("a") == .integer(2))
        let later = try #require(repository.generation)
        #expect(later > generation)
        let before = try await changes[0].before?.environment(for: audience).merged
        let after = try await changes[0].after.environment(for: audience).merged
        #expect(before?["a"] == .integer(1))
        #expect(after["a"] == .integer(2))
        #expect(try await repository.refresh().isEmpty)
        #expect(try await repository.contains(changes[0].to, for: audience))
    }

    @Test func `a file of the same size written in the same instant is not missed`() async throws {
        for number in 10..<60 {
            try folder.write("application.yml", "a: \(number)")
            try await repository.refresh()
            #expect(try await value("a") == .integer(number))
        }
    }

    @Test func `a change that breaks a file is not served, and is told`() async throws {
        #expect(try await value("a") == .integer(1))
        try folder.write("application.yml", "a: 2\nb: {")
        try folder.write("foo.yml", "c: 3")
        let rejected = try #require(try await repository.refresh().first)
        let place = folder.path.replacing("//", with: "/") + "/application.yml:"
        #expect(rejected.rejected?.message.prefix(place.count) == place[...])
        #expect(try await value("a") == .integer(1))
        #expect(try await value("c") == nil)
        #expect(repository.status(for: audience).rejected?.version == rejected.to)
        try folder.write("application.yml", "a: 3")
        #expect(try await repository.refresh().first?.rejected == nil)
        #expect(try await value("a") == .integer(3))
        #expect(try await value("c") == .integer(3))
        #expect(repository.status(for: audience).rejected == nil)
    }

    @Test func `a broken change taken back leaves no trace`() async throws {
        #expect(try await value("a") == .integer(1))
        try folder.write("application.yml", "a: [")
        #expect(try await repository.refresh().count == 1)
        try folder.write("application.yml", "a: 1")
        #expect(try await repository.refresh().isEmpty)
        #expect(repository.status(for: audience).rejected == nil)
        #expect(try await value("a") == .integer(1))
    }

    @Test func `a file that was broken from the start concerns only those who read it`() async throws {
        try folder.write("bad.yml", "a: {")
        #expect(try await value("a") == .integer(1))
        let error = await #expect(throws: ConfigError.self) { try await value("a", Audience(applications: ["bad"], profiles: ["dev"])) }
        #expect(error?.code == .broken)
        try folder.write("application.yml", "a: 2")
        #expect(try await repository.refresh().first?.rejected == nil)
        #expect(try await value("a") == .integer(2))
    }

    @Test func `links are followed within the folder and never out of it`() async throws {
        let other = try TemporaryFolder()
        try other.write("secret.txt", "secret")
        try other.write("more/foo.yml", "leaked: true")
        try folder.write(".git/config", "secret")
        try folder.write("real/inner.txt", "inner")
        try folder.link("outside.txt", to: "\(other.path)/secret.txt")
        try folder.link("outside", to: other.path)
        try folder.link("inside.txt", to: "real/inner.txt")
        try folder.link("loop", to: ".")
        let inner = try await repository.resource("inside.txt", for: audience)
        #expect(String(decoding: inner.bytes, as: UTF8.self) == "inner")
        for path in ["outside.txt", "outside/secret.txt", ".git/config", "../\(other.path)/secret.txt", "loop/.git/config"] {
            let error = await #expect(throws: ConfigError.self, "\(path)") { try await repository.resource(path, for: audience) }
            #expect(error?.code == .notFound)
        }
    }

    @Test func `a folder that vanished is told, and what it held is served on`() async throws {
        #expect(try await value("a") == .integer(1))
        try folder.remove("application.yml")
        try folder.remove("")
        let error = await #expect(throws: ConfigError.self) { try await repository.refresh() }
        #expect(error?.code == .unavailable)
        #expect(try await value("a") == .integer(1))
        #expect(repository.status(for: audience).staleSince != nil)
        try folder.write("application.yml", "a: 4")
        try await repository.refresh()
        #expect(try await value("a") == .integer(4))
        #expect(repository.status(for: audience).staleSince == nil)
    }

    @Test func `changes are noticed while it runs, and given on in order`() async throws {
        let seen = Locked<[String]>([])
        repository.onChange { change in
            let paths = change.rejected == nil ? "served" : "rejected"
            seen.withLock { $0.append(paths) }
        }
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [repository] in try await repository.run(ServiceLife(shutdown: shutdown)) }
            try await eventually { try await value("a") == .integer(1) }
            try folder.write("application.yml", "a: 2")
            try await eventually { seen.withLock { $0 } == ["served"] }
            try folder.write("application.yml", "a: {")
            try await eventually { seen.withLock { $0 } == ["served", "rejected"] }
            shutdown.request()
            try await group.waitForAll()
        }
    }

    @Test func `placeholders in locations choose folders below the fixed part`() async throws {
        try folder.write("apps/foo/foo.yml", "own: true")
        try folder.write("v2/foo.yml", "label: true")
        let other = FolderRepository(
            FolderRepository.Settings(locations: [folder.path, "file:\(folder.path)/apps/{application}/"]), parsed: ParsedFiles())
        let names = try await other.environment(for: Audience(applications: ["foo"], profiles: ["dev"], label: "v2")).propertySources.map(
            \.name)
        #expect(names == ["v2/foo.yml", "apps/foo/foo.yml", "application.yml"].map { "file:\(folder.path)/\($0)" })
    }
}
