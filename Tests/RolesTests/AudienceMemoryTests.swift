import ConfigModel
import Foundation
import Lifecycle
import Locking
import Roles
import Telemetry
import TestSupport
import Testing

/// Who asked for configuration, over restarts of the server.
@Suite struct AudienceMemoryTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("audiences-\(UUID().uuidString)")
    private var path: String { folder.appendingPathComponent("audiences.json").path }
    private static let orders = Audience(applications: ["orders"], profiles: ["prod"], label: nil)

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private struct Kept: Decodable {
        var applications: [String]
        var seen: Int64
    }

    private func kept() throws -> [Kept] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return try JSONDecoder().decode([Kept].self, from: data)
    }

    /// Writes what a server has kept `ago` seconds ago.
    private func keep(ago: Int64) throws {
        let seen = Timestamp.now.milliseconds / 1000 - ago
        try Data(#"[{"applications":["orders"],"profiles":["prod"],"seen":\#(seen)}]"#.utf8).write(to: URL(fileURLWithPath: path))
    }

    private func running(_ memory: AudienceMemory, _ body: () async throws -> Void) async throws {
        let (shutdown, started) = (ShutdownSignal(), ShutdownSignal())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await memory.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
            await started.wait()
            defer { shutdown.request() }
            try await body()
        }
    }

    @Test func `an audience outlasts a restart, and is forgotten when nothing was heard of it for long`() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try await running(AudienceMemory(path: path, log: .silent) { [Self.orders] }) {}
        let next = AudienceMemory(path: path, log: .silent) { [] }
        try await running(next) { #expect(next.audiences == [Self.orders]) }
        try keep(ago: 8 * 86_400)
        let late = AudienceMemory(path: path, log: .silent) { [] }
        try await running(late) { #expect(late.audiences.isEmpty) }
    }

    @Test func `one that is known all the time is kept with a time that moves on`() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try keep(ago: 6 * 86_400)
        let memory = AudienceMemory(path: path, interval: .milliseconds(10), log: .silent) { [Self.orders] }
        try await running(memory) {
            try await eventually("the time moves on") { try kept().contains { $0.seen > Timestamp.now.milliseconds / 1000 - 60 } }
        }
    }

    @Test func `a time moves on at the end, however little`() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try keep(ago: 100)
        let memory = AudienceMemory(path: path, interval: .seconds(3600), log: .silent) { [Self.orders] }
        try await running(memory) {}
        #expect(try kept().allSatisfy { $0.seen > Timestamp.now.milliseconds / 1000 - 60 })
    }

    @Test func `a file that cannot be read is told of, and does not keep the server from starting`() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("[{".utf8).write(to: URL(fileURLWithPath: path))
        let lines = Locked<[String]>([])
        let log = Log(part: "changes") { _, line in lines.withLock { $0.append(line) } }
        let memory = AudienceMemory(path: path, log: log) { [Self.orders] }
        try await running(memory) { #expect(memory.audiences == [Self.orders]) }
        #expect(
            lines.withLock { $0.filter { $0.contains(path.split(separator: "/").last ?? "") && $0.contains("cannot be read") }.count } == 1)
    }
}
