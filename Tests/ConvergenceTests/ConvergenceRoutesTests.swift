import Bus
import Convergence
import HTTP
import JSON
import Lifecycle
import Streams
import TestSupport
import Testing

@Suite struct ConvergenceRoutesTests {
    /// A server that watches, and instances that take over whatever version a refresh names when `mayApply` says so.
    private func withFleet(_ ids: [String], _ body: (EventBus, FleetConvergence, [EventBus]) async throws -> Void) async throws {
        let binder = MemoryBinder()
        let convergence = FleetConvergence()
        let server = EventBus(id: try BusID("config-server:8888:s"), binder: binder)
        convergence.watch(server)
        var buses = [server]
        for id in ids {
            let bus = EventBus(id: try BusID(id), binder: binder)
            bus.setRunning(RunningConfiguration(label: "main", version: "v1", hash: "h1"))
            bus.handle(.refresh) { message in
                EventBus.Handled(.applied, running: RunningConfiguration(label: "main", version: message.details.version, hash: "h2"))
            }
            buses.append(bus)
        }
        let all = buses
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for bus in all { group.addTask { try await bus.run(ServiceLife(shutdown: shutdown)) } }
            defer { shutdown.request() }
            try await eventually("everybody is known to the server") { convergence.knownIDs.count == ids.count }
            try await body(server, convergence, Array(all.dropFirst()))
        }
    }

    private func get(_ convergence: FleetConvergence, _ target: String) async throws -> (status: Int, body: JSONValue) {
        let response = await ConvergenceRoutes(convergence).router.respond(to: try #require(HTTPRequest("GET", target)))
        return (response.status, try JSONReader.read(response.bytes ?? []))
    }

    private func items(_ value: JSONValue?) -> [JSONValue] { if case .array(let values) = value { values } else { [] } }

    @Test func `a change is followed until every instance runs it`() async throws {
        try await withFleet(["orders:1:a", "orders:dev:2:b", "billing:3:c"]) { server, convergence, _ in
            let id = try await server.refresh(
                details: RefreshDetails(version: "c0ffee1234", keys: ["pool.size"], commit: .init(author: "Ada")))
            let (status, body) = try await get(convergence, "/convergence/\(id)?wait=60s")
            #expect(status == 200)
            #expect(body["converged"] == .boolean(true))
            #expect(body["change"]?["version"] == .string("c0ffee1234"))
            #expect(body["change"]?["author"] == .string("Ada"))
            #expect(items(body["change"]?["keys"]) == [.string("pool.size")])
            let rows = items(body["instances"])
            #expect(rows.map { $0["instance"] } == [.string("billing:3:c"), .string("orders:1:a"), .string("orders:dev:2:b")])
            #expect(
                rows.allSatisfy {
                    $0["outcome"] == .string("applied") && $0["version"] == .string("c0ffee1234") && $0["hash"] == .string("h2")
                })
            #expect(rows.last?["profiles"] == .array([.string("dev")]))
            let (_, fleet) = try await get(convergence, "/convergence/instances?version=c0ffee1&wait=60s")
            #expect(fleet["converged"] == .boolean(true))
            #expect(fleet["running"] == .number("3"))
            #expect(fleet["concerned"] == .number("3"))
            let (_, list) = try await get(convergence, "/convergence")
            #expect(items(list["changes"]).first?["id"] == .string(id))
            #expect(items(list["changes"]).first?["instances"]?["applied"] == .number("3"))
        }
    }

    @Test func `a wait ends with its time when somebody does not take the change over`() async throws {
        try await withFleet(["orders:1:a"]) { server, convergence, _ in
            try await server.refresh("orders", details: RefreshDetails(version: "v2"))
            _ = try await get(convergence, "/convergence/v2?wait=60s")
            let started = ContinuousClock.now
            let (_, body) = try await get(convergence, "/convergence/instances?version=v2&instances=2&wait=100ms")
            #expect(body["converged"] == .boolean(false))
            #expect(ContinuousClock.now - started >= .milliseconds(100))
        }
    }

    @Test func `a wait that begins before the change sees it come`() async throws {
        try await withFleet(["orders:1:a", "orders:2:b"]) { server, convergence, _ in
            async let waited = get(convergence, "/convergence/instances?version=v9&wait=60s")
            try await server.refresh(details: RefreshDetails(version: "v9"))
            #expect(try await waited.body["converged"] == .boolean(true))
        }
    }

    @Test(arguments: [("/convergence/nothing", 404), ("/convergence/instances?wait=soon", 400), ("/convergence/x?wait=-1s", 400)])
    func `what is wrong with a request is told`(target: String, status: Int) async throws {
        let (answered, body) = try await get(FleetConvergence(), target)
        #expect(answered == status)
        #expect(body["error"] != nil)
    }
}
