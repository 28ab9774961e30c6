import Bus
import HTTP
import JSON
import Lifecycle
import LocalBinder
import Operations
import Streams
import TestSupport
import Testing

@Suite struct BindingRoutesTests {
    @Test func `bindings are shown and changed over HTTP as in Spring`() async throws {
        let binder = LocalBinder()
        let bindings = Bindings()
        let bus = EventBus(id: try BusID("orders:1:a"), binder: binder)
        bindings.show { bus.bindings }
        try bindings.add(
            "orders-in-0", Consumer(destination: Destination(fixed: "orders"), group: try ConsumerGroup("workers")) { _ in }, over: binder)
        let router = BindingRoutes(bindings).router
        func answer(_ method: String, _ target: String, _ body: String = "") async throws -> HTTPResponse {
            await router.respond(to: try #require(HTTPRequest(method, target, body: Array(body.utf8))))
        }
        func items(_ response: HTTPResponse) throws -> [JSONValue] { try JSONReader.read(response.bytes ?? []).items }
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for service in [binder, bindings, bus] as [any Service] {
                tasks.addTask { try await service.run(ServiceLife(shutdown: shutdown)) }
            }
            defer { shutdown.request() }
            try await eventually { bindings.readiness.isReady && bus.readiness.isReady }
            let list = try items(try await answer("GET", "/actuator/bindings"))
            #expect(list.map { $0["bindingName"]?.string } == ["orders-in-0", "springCloudBusInput", "springCloudBusOutput"])
            #expect(list[1]["name"]?.string == "springCloudBus")
            #expect(list[0]["group"]?.string == "workers")
            #expect(list[0]["extendedInfo"] == .object([]))
            #expect(try await answer("POST", "/actuator/bindings/orders-in-0", "{\"state\":\"PAUSED\"}").status == 204)
            let one = try items(try await answer("GET", "/actuator/bindings/orders-in-0"))
            #expect(one[0]["state"]?.string == "paused")
            #expect(one[0]["paused"] == .boolean(true))
            #expect(try await answer("POST", "/actuator/bindings/orders-in-0", "{\"state\":\"resumed\"}").status == 204)
            #expect(try await answer("POST", "/actuator/bindings/orders-in-0", "{\"state\":\"STARTED\"}").status == 409)
            #expect(try await answer("POST", "/actuator/bindings/orders-in-0", "{\"state\":\"STOPPED\"}").status == 204)
            #expect(try await answer("POST", "/actuator/bindings/orders-in-0", "stop it").status == 400)
            #expect(try await answer("POST", "/actuator/bindings/nobody", "{\"state\":\"STOPPED\"}").status == 404)
            #expect(try await answer("GET", "/actuator/bindings/nobody").status == 404)
        }
    }
}
