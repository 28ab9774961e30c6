import ConfigModel
import ConfigRepositories
import GitRepository
import TestSupport
import Testing

/// Figures for a repository of 2,000 files, printed; a debug build on a busy machine is no place to judge them.
@Suite(.serialized)
struct LargeRepositoryTests {
    @Test func `two thousand files: from start to the first answer, and from a commit to the first answer`() async throws {
        let upstream = try Upstream()
        var files: [String: String?] = ["application.yml": "shared: {pool: {size: 10, wait: 3s}, hosts: [a, b, c]}\n"]
        for number in 0..<2000 {
            files[number % 2 == 0 ? "app-\(number).yml" : "team-\(number % 20)/app-\(number).yml"] =
                "server: {port: \(number)}\n" + (0..<20).map { "key\($0): value \($0) of \(number)\n" }.joined()
        }
        try upstream.commit(files)
        let clock = ContinuousClock()
        let repository = try GitRepository(
            GitSettings(uri: upstream.path, searchPaths: ["team-*"]), data: upstream.data, parsed: parsedFiles())
        var start = clock.now
        let first = try await repository.values("app-7")
        let cold = clock.now - start
        #expect(first["server.port"] == "7")
        var looks: [Duration] = []
        var answers: [Duration] = []
        for round in 1...5 {
            let commit = try upstream.commit(["team-7/app-7.yml": "server: {port: \(round)}\n", "app-8.yml": "round: \(round)\n"])
            start = clock.now
            let changes = try await repository.refresh()
            looks.append(clock.now - start)
            start = clock.now
            let values = try await repository.values("app-7")
            answers.append(clock.now - start)
            #expect(changes.map(\.to) == [commit])
            #expect(values["server.port"] == "\(round)")
        }
        print(
            "2,000 files: start to first answer \(cold); look and gate \(looks.sorted()[2]); first answer after it \(answers.sorted()[2]) (medians of 5)"
        )
        try await repository.running {
            let commit = try upstream.commit(["app-8.yml": "round: seen\n"])
            let returned = ContinuousClock.now
            try await eventually { try await repository.version() == commit }
            let seen = ContinuousClock.now - returned
            print("2,000 files: a commit on this machine is served \(seen) after git returned")
        }
    }
}
