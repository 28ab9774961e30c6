import Foundation
import Glibc
import Locking
import Processes
import TestSupport

/// A running `WorkerKeeper`.
final class LocalKeeper: Sendable {
    private let process: SpawnedProcess
    private let input: Pipe
    private let output: Pipe
    private let lines = Recorded<String>()

    /// The program stands beside the tests.
    private static let program: URL = {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("WorkerKeeper").path) {
            folder.deleteLastPathComponent()
        }
        return folder.appendingPathComponent("WorkerKeeper")
    }()

    init(_ scene: LocalScene, maximum: Int, drain: Int = 60) throws {
        process = SpawnedProcess()
        process.executableURL = Self.program
        process.arguments = [scene.data, "\(maximum)", "\(drain)", scene.variable, "sh", scene.script]
        (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        // Its workers have its outputs, too: nobody may wait for the end of one.
        process.standardError = FileHandle.nullDevice
        output.fileHandleForReading.readabilityHandler = { [lines] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            for line in String(decoding: data, as: UTF8.self).split(separator: "\n") { lines.add(String(line)) }
        }
        try process.run()
    }

    deinit { kill(SIGKILL) }

    var said: [String] { lines.all }
    var isRunning: Bool { process.isRunning }
    var status: Int32 { process.terminationStatus }

    func untilReady() async throws { try await eventually("ready: \(said)") { said.contains("ready") } }

    func order(_ count: Int) { try? input.fileHandleForWriting.write(contentsOf: Data("\(count)\n".utf8)) }

    func ordered(_ count: Int) async throws {
        order(count)
        try await eventually("the order of \(count)") { said.last == "ordered \(count)" }
    }

    func kill(_ signal: Int32) { if isRunning { Glibc.kill(process.processIdentifier, signal) } }

    /// As the machine's memory killer would end it.
    func crash() async throws {
        kill(SIGKILL)
        try await eventually("the end") { !isRunning }
        output.fileHandleForReading.readabilityHandler = nil
    }

    func end() async throws {
        kill(SIGTERM)
        try await eventually("the end") { !isRunning }
        output.fileHandleForReading.readabilityHandler = nil
    }
}

/// A folder, with `workers` as that of the supervisor, with a worker's script, and the view of its workers that the system has.
struct LocalScene: Sendable {
    let folder: String
    /// One for each scene, in the environment of its workers.
    let variable: String
    var data: String { "\(folder)/workers" }
    var script: String { "\(folder)/worker.sh" }

    /// Runs `body`, and ends whatever workers are left.
    static func with<R>(
        _ script: String, isolation: isolated (any Actor)? = #isolation, _ body: (LocalScene) async throws -> R
    ) async throws -> R {
        try await withTemporaryFolder { folder in
            let scene = LocalScene(folder: folder, variable: "SCENE=\(folder)")
            try Data(script.utf8).write(to: URL(fileURLWithPath: scene.script))
            defer { for process in scene.processes { kill(process, SIGKILL) } }
            return try await body(scene)
        }
    }

    /// Processes that were started with the scene's variable, their children among them.
    private var processes: [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { number in
            guard let identity = ProcessIdentity(living: number) else { return false }
            return identity.wasStarted(with: variable)
        }
    }

    /// The workers that live: those that lead a group.
    var workers: Set<Int32> { Set(processes.filter { getpgid($0) == $0 }) }

    /// Whether nothing is left of any worker.
    var isEmpty: Bool { processes.isEmpty }

    func text(_ name: String) -> String {
        (try? String(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"), encoding: .utf8)) ?? ""
    }
    func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }

    /// A worker that leaves at once when told. It takes one of `places`, which the system frees only when it is dead; finding none it writes its
    /// name to `violations`. It writes its name to `started`.
    static func modest(places: Int) -> String {
        """
        cd "${SCENE}" || exit 9
        for place in $(seq \(places)); do
          exec 9>"place-$place"
          if flock -n 9; then
            trap 'kill $!; exit 0' TERM
            echo "$CARILLON_INSTANCE" >>started
            while :; do sleep 1000 9>&- & wait $!; done
          fi
        done
        echo "$CARILLON_INSTANCE" >>violations
        """
    }
}
