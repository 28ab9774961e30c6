import CBenchmark
import Foundation
import HTTP
import HTTPClient
import Lifecycle
import Roles
import Settings
import Telemetry

/// Environments of a Git repository of 2,000 files, from the whole server: from start to the first answer, from a commit to the first answer with
/// it, answers that are at hand beside the same bytes from a bare libmicrohttpd in C, and answers that nobody asked for before.
struct ConfigBenchmark: Comparison {
    let name = "config"
    let summary = "environments of 2,000 files: first answer, answer after a commit, at hand beside bare C, cold, memory"

    static let serverRole = "--serve-config"
    private static let files = 2000

    func run(_ settings: BenchmarkSettings) async throws -> [Measure] {
        let repository = try BenchmarkRepository(files: Self.files)
        defer { repository.remove() }
        let client = HTTPClient()

        var starts: [Double] = []
        for _ in 0..<settings.rounds {
            let start = ContinuousClock.now
            let server = try ConfigServerProcess(repository)
            defer { server.process.end() }
            _ = try await server.get("/app0/default", client)
            starts.append(Self.milliseconds(since: start))
        }

        let server = try ConfigServerProcess(repository)
        defer { server.process.end() }
        let body = try await server.get("/app0/default", client)
        var commits: [Double] = []
        for round in 0..<settings.rounds * 2 {
            let commit = try repository.commit(change: round)
            let start = ContinuousClock.now
            // Asking for this commit makes the server look at once, instead of at its next turn.
            _ = try await server.get("/app\(round)/default", client, version: commit)
            commits.append(Self.milliseconds(since: start))
        }

        let bare = try BareProcess(body)
        defer { bare.process.end() }
        var (cached, raw, cold): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<settings.rounds {
            raw.append(try LoadGenerator.run("\(bare.url)/app0/default", seconds: settings.seconds).requestsPerSecond)
            cached.append(try LoadGenerator.run("\(server.url)/app0/default", seconds: settings.seconds).requestsPerSecond)
        }
        var answered = 0.0
        while answered < (settings.isQuick ? 10_000 : 1_000_000) {
            answered += try LoadGenerator.run("\(server.url)/app1/default", seconds: settings.seconds).requests
        }
        let memory = server.process.residentMemory
        for _ in 0..<settings.rounds {
            cold.append(try LoadGenerator.run(server.url, seconds: settings.seconds, script: repository.coldScript).requestsPerSecond)
        }
        return [
            Measure(what: "from start to the first answer", unit: "ms", ours: starts, higherIsBetter: false),
            Measure(what: "first answer after a commit", unit: "ms", ours: commits, higherIsBetter: false),
            Measure(what: "environment at hand, 64 connections", unit: "requests/s", ours: cached, raw: raw, aim: 0.9),
            Measure(what: "environment nobody asked for before", unit: "requests/s", ours: cold),
            Measure(what: "resident memory after \(Int(answered)) requests", unit: "MB", ours: [memory], higherIsBetter: false),
            Measure(
                what: "resident memory after all applications", unit: "MB", ours: [server.process.residentMemory], higherIsBetter: false),
        ]
    }

    private static func milliseconds(since start: ContinuousClock.Instant) -> Double {
        let time = (ContinuousClock.now - start).components
        return Double(time.seconds) * 1000 + Double(time.attoseconds) / 1e15
    }

    /// The child: the whole server on the first core until its standard input ends.
    static func serve(_ arguments: [String]) async {
        guard let folder = arguments.first, carillon_pin_to_core(0) == 0 else { return }
        var settings = CarillonSettings()
        settings.server.port = 0
        settings.data = folder + "/data"
        settings.binder = "local:"
        settings.repositories = [.git(CarillonSettings.Git(uri: folder + "/config"))]
        let shutdown = ShutdownSignal()
        do {
            let role = try ServerPlan(settings).role(log: .silent)
            let life = ServiceLife(shutdown: shutdown) {
                print(role.port)
                fflush(nil)
            }
            async let ended: Void = role.run(life)
            await HTTPBenchmark.untilInputEnds()
            shutdown.request()
            try await ended
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
        }
    }
}

/// The server as a process of its own.
private struct ConfigServerProcess {
    let process: PinnedProcess
    let url: String

    init(_ repository: BenchmarkRepository) throws {
        process = try PinnedProcess([ConfigBenchmark.serverRole, repository.folder])
        guard let port = Int(process.firstLine()) else { throw BenchmarkFailure("the configuration server did not start") }
        url = "http://127.0.0.1:\(port)"
    }

    func get(_ path: String, _ client: HTTPClient, version: String? = nil) async throws -> [UInt8] {
        let response = try await client.send(
            HTTPClientRequest("GET", url + path, headers: version.map { ["X-Config-Min-Version": $0] } ?? [:]))
        guard response.status == 200 else { throw BenchmarkFailure("\(path) answered \(response.status): \(response.text)") }
        if let version, response.headers["X-Config-Version"] != version { throw BenchmarkFailure("\(path) is not of commit \(version)") }
        return response.body
    }
}

/// A bare libmicrohttpd in C with the same bytes.
private struct BareProcess {
    let process: PinnedProcess
    let url: String

    init(_ body: [UInt8]) throws {
        process = try PinnedProcess([HTTPBenchmark.serverRole, "bare", String(decoding: body, as: UTF8.self)])
        guard let port = Int(process.firstLine()) else { throw BenchmarkFailure("the bare server did not start") }
        url = "http://127.0.0.1:\(port)"
    }
}

/// A Git repository with many files, in a temporary folder.
private struct BenchmarkRepository {
    let folder: String
    /// A script for wrk that asks for another application each time.
    var coldScript: String { folder + "/cold.lua" }

    init(files: Int) throws {
        folder = NSTemporaryDirectory() + "carillon-benchmark-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder + "/config", withIntermediateDirectories: true)
        try git("init", "-q", "-b", "main")
        let shared = "shared:\n" + (0..<40).map { "  key\($0): value \($0)\n" }.joined()
        try Data(shared.utf8).write(to: URL(fileURLWithPath: folder + "/config/application.yml"))
        for index in 0..<files {
            let text = "name: app\(index)\npool:\n  size: \(index)\n  hosts: [a, b, c]\nurl: http://host\(index)/\n"
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/config/app\(index).yml"))
        }
        let script =
            "local n = 0\nrequest = function() n = n + 1; return wrk.format('GET', '/cold' .. n .. '-' .. os.time() .. '/default') end\n"
        try Data(script.utf8).write(to: URL(fileURLWithPath: coldScript))
        try git("add", "-A")
        try git("commit", "-q", "-m", "First")
    }

    func commit(change: Int) throws -> String {
        try Data("name: app\(change)\nchanged: \(change) \(UUID().uuidString)\n".utf8).write(
            to: URL(fileURLWithPath: folder + "/config/app\(change).yml"))
        try git("commit", "-q", "-a", "-m", "Change \(change)")
        return try git("rev-parse", "HEAD")
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    @discardableResult
    private func git(_ arguments: String...) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "git", "-C", folder + "/config", "-c", "user.name=benchmark", "-c", "user.email=benchmark@example.invalid", "-c",
                "commit.gpgsign=false",
            ]
            + arguments
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchmarkFailure("git \(arguments.joined(separator: " ")) failed") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
