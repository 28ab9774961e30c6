import Bus
import BusEndpoints
import Channels
import Convergence
import HTTP
import HTTPBinder
import JSON
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct BusHTTPBinderTests {
    /// A server with the embedded broker, its bus, and what it shows of the fleet.
    private struct Server: Sendable {
        let bus: EventBus
        let convergence = FleetConvergence()
        let binder = LocalBinder()

        init() throws {
            var configuration = EventBus.Configuration()
            configuration.reportInterval = nil
            bus = EventBus(id: try BusID("config-server:8888:s"), binder: binder, configuration: configuration)
            convergence.watch(bus)
        }

        /// Serves on the port while `body` runs.
        func run(port: Int, _ body: (Int, Router) async throws -> Void) async throws {
            let channels = Channels(binder: binder)
            var router = channels.router
            router.add(BusRoutes(bus: bus, knownIDs: { convergence.knownIDs }, details: { _ in RefreshDetails(version: "größe-2") }).router)
            router.add(ConvergenceRoutes(convergence).router)
            let shutdown = ShutdownSignal()
            let started = ShutdownSignal()
            let group = ServiceGroup([binder, channels, bus])
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
                await started.wait()
                let server = try await TestHTTPServer.start(router, port: port)
                let result: Result<Void, any Error>
                do { result = .success(try await body(server.port, router)) } catch { result = .failure(error) }
                try await server.stop()
                shutdown.request()
                try await tasks.waitForAll()
                try result.get()
            }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `instances without a broker take a refresh over the server's channels, and are known again after its restart`() async throws {
        let ids = (1...5).map { "orders:dev:\(8080 + $0):x\($0)" }
        let applied = Collected<String>()
        let gaps = Collected<String>()
        let shutdown = ShutdownSignal()
        let port = freePort()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { shutdown.request() }
            let first = try Server()
            try await first.run(port: port) { _, router in
                for id in ids {
                    let binder = HTTPBinder(configuration: HTTPBinderConfiguration(url: "http://127.0.0.1:\(port)/"))
                    let bus = EventBus(id: try BusID(id), binder: binder)
                    bus.setRunning(RunningConfiguration(label: "main", version: "v1", hash: "h1"))
                    bus.handle(.refresh) { message in
                        applied.add(bus.id.text)
                        return EventBus.Handled(.applied, running: RunningConfiguration(label: "main", version: message.details.version))
                    }
                    bus.handleGap { gaps.add(bus.id.text) }
                    let group = ServiceGroup([binder, bus])
                    tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown)) }
                }
                try await eventually("all are known") { first.convergence.knownIDs == ids }
                let answer = await router.respond(to: try #require(HTTPRequest("POST", "/actuator/busrefresh/orders")))
                #expect(answer.status == 204)
                let id = try #require(answer.headers[BusRoutes.eventField])
                let state = await router.respond(to: try #require(HTTPRequest("GET", "/convergence/\(id)?wait=60s")))
                let body = try JSONReader.read(state.bytes ?? [])
                #expect(body["converged"] == .boolean(true))
                #expect(body["change"]?["version"] == .string("größe-2"))
                #expect(body["instances"]?.items.compactMap { $0["instance"]?.string } == ids)
                #expect(body["instances"]?[0]?["version"] == .string("größe-2"))
                #expect(applied.all.sorted() == ids)
            }
            let second = try Server()
            try await second.run(port: port) { _, _ in
                try await eventually("all are known to the server that was started again") { second.convergence.knownIDs == ids }
                try await second.bus.refresh(details: RefreshDetails(version: "v3"))
                #expect(await second.convergence.wait(atMost: .seconds(60)) { $0.fleet(version: "v3", at: $1).haveConverged(least: 5) })
                #expect(Set(gaps.all) == Set(ids))
            }
            shutdown.request()
            try await tasks.waitForAll()
        }
    }
}
