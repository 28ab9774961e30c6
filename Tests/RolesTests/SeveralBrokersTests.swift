import ConfigModel
import HTTP
import Lifecycle
import LocalBinder
import Roles
import Settings
import Streams
import Telemetry
import TestSupport
import Testing

@Suite struct SeveralBrokersTests {
    @Test func `event channels may be on another broker than the bus`() async throws {
        try await withTemporaryFolder { folder in
            let properties = [
                ("data", folder), ("binders.main", "local:\(folder)/main"), ("binders.events", "local:\(folder)/events"),
                ("binder", "main"),
                ("channels.binder", "events"), ("repositories[0].folder", folder),
            ].map { Property(key: $0.0, value: .string($0.1)) }
            let settings = try CarillonSettings(file: "carillon.yaml", properties: properties, commandLine: ["server.port": "0"])
            let role = try ServerPlan(settings).role(log: .silent)
            let shutdown = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await role.run(ServiceLife(shutdown: shutdown)) }
                defer { shutdown.request() }
                func answer(_ method: String, _ target: String, _ body: String = "") async throws -> HTTPResponse {
                    await role.router.respond(to: try #require(HTTPRequest(method, target, body: Array(body.utf8))))
                }
                try await eventually { try await answer("GET", "/health/ready").status == 200 }
                #expect(try await answer("GET", "/health/ready").text?.contains("\"channels\"") == true)
                #expect(try await answer("POST", "/channels/orders", "hello").status == 200)
                shutdown.request()
                try await tasks.waitForAll()
            }
            for (name, holds) in [("events", true), ("main", false)] {
                let position = try await LocalBinder(storage: .folder("\(folder)/\(name)")).latestPosition(of: Destination("orders"))
                // Before its first event a destination stands at 0.
                #expect(position?.hasSuffix("-0") == !holds, "\(name): \(position ?? "none")")
            }
        }
    }

    @Test(arguments: [
        (["binders.main": "local:", "binder": "mian"], "did you mean `main`?"),
        (["binders.main": "local:", "binders.other": "local:x"], "name one of main, other"),
        (["binders.main": "local:", "bus.binder": "events"], "which is none of `binders`"),
        (["binders.main.token": "x"], "needs a URI"),
        (["binders.main.uri": "local:", "binders.main.tokn": "x"], "did you mean"),
    ])
    func `a broker that nobody named is refused`(values: [String: String], says: String) {
        let properties = values.map { Property(key: $0.key, value: .string($0.value)) }
        let error = #expect(throws: SettingsError.self) { try CarillonSettings(file: "carillon.yaml", properties: properties) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }
}
