import Bus
import ConfigAgent
import ConfigClient
import Foundation
import Glibc
import HTTP
import Lifecycle
import LocalBinder
import Locking
import Streams
import Telemetry
import TestSupport

/// A configuration server, a broker, an agent in a fresh folder, and somebody who watches the bus.
struct AgentBench: Sendable {
    let canned: CannedConfiguration
    let server: TestHTTPServer
    let folder: String
    let agent: Agent
    let publisher: EventBus
    let receipts: Receipts
    let shutdown: ShutdownSignal
    let ended: Ended

    /// Whether and how the agent ended.
    final class Ended: Sendable {
        private let state = Locked<(isOver: Bool, error: (any Error)?)>((false, nil))
        var isOver: Bool { state.withLock { $0.isOver } }
        var error: (any Error)? { state.withLock { $0.error } }
        func end(_ error: (any Error)?) { state.withLock { $0 = (true, error) } }
    }

    final class Receipts: Sendable {
        private let state = Locked<[Receipt]>([])
        var all: [Receipt] { state.withLock { $0 } }
        func add(_ receipt: Receipt) { state.withLock { $0.append(receipt) } }
        func contains(_ outcome: Receipt.Outcome, version: String) -> Bool {
            all.contains { $0.outcome == outcome && $0.running.version == version }
        }
    }

    static let log = Log(part: "test") { _, line in if getenv("CARILLON_TEST_LOG") != nil { print(line) } }

    /// Runs `body` beside it all. `configure` gets a configuration with the server and the folder in it.
    static func with<R: Sendable>(
        _ values: [String: String], serverIsDown: Bool = false, folder given: String? = nil, port: Int = 0,
        canned: CannedConfiguration? = nil, handler: (any HTTPHandler)? = nil, binder: any Binder = LocalBinder(),
        configure: (inout AgentConfiguration, String) -> Void, _ body: (AgentBench) async throws -> R
    ) async throws -> R {
        let canned = canned ?? CannedConfiguration(values)
        let server = try await TestHTTPServer.start(handler ?? canned, port: port)
        if serverIsDown { try await server.stop() }
        var template = Array("/tmp/carillon-agent-XXXXXX".utf8CString)
        let folder = given ?? mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        defer { if given == nil { try? FileManager.default.removeItem(atPath: folder) } }
        var configuration = AgentConfiguration(
            client: ConfigClientSettings(
                servers: [server.url], application: "orders", cacheFolder: folder + "/cache", pollInterval: .zero, spread: .milliseconds(5),
                attempts: 2))
        configure(&configuration, folder)
        let bus = EventBus(id: try BusID("orders:8080:\(Identifier.random().prefix(8))"), binder: binder, log: log)
        let other = EventBus(id: try BusID("config-server:8888:\(Identifier.random().prefix(8))"), binder: binder, log: log)
        let receipts = Receipts()
        other.observe { if case .received(let message, _) = $0, let receipt = message.receipt { receipts.add(receipt) } }
        let agent = try Agent(configuration, bus: bus, log: log)
        let shutdown = ShutdownSignal()
        let ended = Ended()
        let bench = AgentBench(
            canned: canned, server: server, folder: folder, agent: agent, publisher: other, receipts: receipts, shutdown: shutdown,
            ended: ended)
        let result = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run(ServiceLife()) }
            group.addTask { try await other.run(ServiceLife()) }
            try await eventually { bus.readiness.isReady && other.readiness.isReady }
            group.addTask {
                do {
                    try await agent.run(ServiceLife(shutdown: shutdown))
                    ended.end(nil)
                } catch { ended.end(error) }
            }
            let result: Result<R, any Error>
            do { result = .success(try await body(bench)) } catch { result = .failure(error) }
            shutdown.request()
            try? await eventually { ended.isOver }
            group.cancelAll()
            while let _ = try? await group.next() {}
            return result
        }
        if !serverIsDown { try? await server.stop() }
        return try result.get()
    }

    /// What a file of the folder holds; nil where there is none.
    func read(_ name: String) -> String? {
        FileManager.default.contents(atPath: folder + "/" + name).map { String(decoding: $0, as: UTF8.self) }
    }

    func write(_ name: String, _ text: String) throws { try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8) }

    /// Publishes a change as the configuration server does, and returns its event.
    @discardableResult
    func publish(_ values: [String: String], version: String) async throws -> String {
        canned.set(values, version: version)
        return try await publisher.refresh("orders", details: RefreshDetails(version: version, keys: values.keys.sorted()))
    }
}
