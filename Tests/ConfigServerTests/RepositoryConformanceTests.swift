import ConfigModel
import ConfigRepositories
import Foundation
import GitRepository
import Testing

/// What every repository of files does, over the same files.
struct RepositoryConformanceTests {
    enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case memory, folder, git, composite, pattern
        var testDescription: String { rawValue }
    }

    static let files = [
        "application.yml": "port: 80\nhosts: [a, b, c]\nmsg: hi ${who:you}", "foo.yml": "hosts: [x]\nwho: foo",
        "foo-dev.properties": "port=8080",
        "sub/notes.txt": "notes", "notes-dev.txt": "notes of dev", "broken.yml": "a: {",
    ]

    /// A repository of these files, and what has to live as long as it.
    func repository(_ kind: Kind) throws -> (repository: any ConfigRepository, folder: URL) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-conformance-\(UUID().uuidString)")
        let files = folder.appendingPathComponent("files")
        for (path, text) in Self.files {
            let file = files.appendingPathComponent(path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        let parsed = ParsedFiles()
        let memory = MemoryRepository(
            ["main": MemoryTree(texts: Self.files, version: "1")], builder: EnvironmentBuilder(prefix: "memory:", parsed: parsed))
        switch kind {
        case .memory: return (memory, folder)
        case .composite: return (CompositeRepository([memory]), folder)
        case .pattern: return (PatternRepository([.init(name: "x", patterns: ["x*"], repository: memory)], otherwise: memory), folder)
        case .folder:
            return (FolderRepository(FolderRepository.Settings(locations: [files.path], defaultLabel: "main"), parsed: parsed), folder)
        case .git:
            let tools = GoldenRepositories(source: files, root: folder)
            try tools.git(files, ["init", "-q", "-b", "main"])
            try tools.git(files, ["add", "-A"])
            try tools.git(files, ["commit", "-q", "-m", "files"], when: 1_704_067_200)
            return (
                try GitRepository(
                    GitSettings(uri: "file://\(files.path)"), data: folder.appendingPathComponent("data").path, parsed: parsed), folder
            )
        }
    }

    func with(_ kind: Kind, _ body: (any ConfigRepository) async throws -> Void) async throws {
        let (repository, folder) = try repository(kind)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(repository)
    }

    let audience = Audience(applications: ["foo"], profiles: ["dev"])

    @Test(arguments: Kind.allCases) func `sources come in order, with the audience as asked for`(kind: Kind) async throws {
        try await with(kind) { repository in
            let asked = Audience(applications: ["foo", "bar"], profiles: ["dev", "x"], label: "main")
            let environment = try await repository.environment(for: asked)
            #expect(environment.name == "foo,bar")
            #expect(environment.profiles == ["dev,x"])
            #expect(environment.label == "main")
            #expect(
                environment.propertySources.map { $0.name.split(separator: "/").last.map(String.init)?.replacing("memory:", with: "") }
                    == ["foo-dev.properties", "foo.yml", "application.yml"])
            #expect(environment.merged["port"] == .string("8080"))
            #expect(environment.merged["hosts[0]"] == .string("x"))
            #expect(environment.merged["hosts[1]"] == nil)
        }
    }

    @Test(arguments: Kind.allCases) func `the same question has the same answer, and the version that it names is contained`(kind: Kind)
        async throws
    {
        try await with(kind) { repository in
            let first = try await repository.environment(for: audience)
            #expect(try await repository.environment(for: audience) == first)
            let snapshot = try #require(first.snapshot)
            #expect(try await repository.contains(snapshot, for: audience))
            #expect(try await !repository.contains("0123456789abcdef0123456789abcdef01234567", for: audience))
        }
    }

    @Test(arguments: Kind.allCases) func `a resource is the profile's file where there is one`(kind: Kind) async throws {
        try await with(kind) { repository in
            let notes = try await repository.resource("notes.txt", for: audience)
            #expect(String(decoding: notes.bytes, as: UTF8.self) == "notes of dev")
            let deeper = try await repository.resource("sub/notes.txt", for: audience)
            #expect(String(decoding: deeper.bytes, as: UTF8.self) == "notes")
            for path in ["none.txt", "sub", "", "../files/sub/notes.txt", "/etc/passwd", ".git/HEAD", "sub/../.git/HEAD", "a\0b"] {
                let error = await #expect(throws: ConfigError.self, "\(path)") { try await repository.resource(path, for: audience) }
                #expect(error?.code == .notFound)
            }
        }
    }

    @Test(arguments: Kind.allCases) func `a broken file is an error for those who read it`(kind: Kind) async throws {
        try await with(kind) { repository in
            let error = await #expect(throws: ConfigError.self) {
                try await repository.environment(for: Audience(applications: ["broken"], profiles: ["dev"]))
            }
            #expect(error?.code == .broken)
            #expect(error?.message.contains("broken.yml") == true)
        }
    }

    @Test(arguments: Kind.allCases) func `a bad profile is refused`(kind: Kind) async throws {
        try await with(kind) { repository in
            let error = await #expect(throws: ConfigError.self) {
                try await repository.environment(for: Audience(applications: ["foo"], profiles: ["../x"]))
            }
            #expect(error?.code == .invalid)
        }
    }

    @Test(arguments: [Kind.memory, .git]) func `a label that does not exist is not found`(kind: Kind) async throws {
        try await with(kind) { repository in
            let error = await #expect(throws: ConfigError.self) {
                try await repository.environment(for: Audience(applications: ["foo"], profiles: ["dev"], label: "nothing"))
            }
            #expect(error?.code == .notFound)
            #expect(error?.message == "No such label: nothing")
        }
    }
}
