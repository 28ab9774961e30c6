import Bus
import BusEndpoints
import HTTP
import Streams
import TestSupport
import Testing

@Suite struct BusRoutesTests {
    private static func published(_ binder: MemoryBinder) -> BusEvent? {
        binder.published.lazy.compactMap { try? BusEvent(decoding: $0.payload) }.first { $0.acknowledgement == nil }
    }

    private func post(
        _ target: String, headers: HTTPHeaders = [:], body: String = "", failure: BinderError? = nil
    ) async throws -> (response: HTTPResponse, event: BusEvent?) {
        let binder = MemoryBinder()
        return try await withBuses(["orders:8081:abc"], over: binder) { _ in
        } _: { buses in
            binder.fail(with: failure)
            let request = try #require(HTTPRequest("POST", target, headers: headers, body: Array(body.utf8)))
            let routes = BusRoutes(bus: buses[0], limit: .seconds(60), details: { _ in RefreshDetails(version: "v1") })
            let response = await routes.router.respond(to: request)
            return (response, Self.published(binder))
        }
    }

    @Test(arguments: [
        ("/actuator/busrefresh", 204, "**"), ("/actuator/busrefresh/orders", 204, "orders:**"),
        ("/actuator/busrefresh/orders/dev/**", 204, "orders:dev:**"), ("/actuator/bus-refresh", 204, "**"),
        ("/actuator/bus-refresh/orders:dev:**", 204, "orders:dev:**"), ("/bus/refresh", 200, "**"),
        ("/bus/refresh?destination=orders:**", 200, "orders:**"), ("/bus/refresh?destination=orders%3A8081", 200, "orders:8081:**"),
    ])
    func `a refresh by the path of each generation is published, and its id answered`(
        target: String, status: Int, destination: String
    ) async throws {
        let (response, event) = try await post(target)
        #expect(response.status == status)
        #expect(event?.kind == .refresh)
        #expect(event?.destination == destination)
        #expect(response.headers[BusRoutes.eventField] == event?.id)
        #expect(event != nil)
    }

    @Test(arguments: ["/actuator/busenv/orders", "/actuator/bus-env/orders", "/bus/env?a.b=1&destination=orders"])
    func `an environment change by the path of each generation is published`(target: String) async throws {
        let old = target.hasPrefix("/bus/env")
        let (response, event) = try await post(
            target, headers: old ? [:] : ["Content-Type": "application/json"], body: old ? "" : "{\"name\":\"a.b\",\"value\":1}")
        #expect(response.status == (old ? 200 : 204))
        #expect(event?.kind == .environmentChange([EnvironmentValue(name: "a.b", value: "1")]))
        #expect(event?.destination == "orders:**")
    }

    @Test func `parameters in a form body count for the oldest paths`() async throws {
        let (response, event) = try await post(
            "/bus/env", headers: ["Content-Type": "application/x-www-form-urlencoded"], body: "a=1&b=x+y&destination=orders")
        #expect(response.status == 200)
        #expect(event?.kind == .environmentChange([EnvironmentValue(name: "a", value: "1"), EnvironmentValue(name: "b", value: "x y")]))
        #expect(event?.destination == "orders:**")
    }

    @Test(arguments: [
        (BinderError(.unreachable, "no connection to amqp://h:5672"), 503), (BinderError(.timedOut, "no confirm"), 503),
        (BinderError(.blocked, "memory alarm"), 503), (BinderError(.refused, "no permission"), 500),
    ])
    func `what the broker does not confirm is not called done`(error: BinderError, status: Int) async throws {
        let (response, event) = try await post("/actuator/busrefresh", failure: error)
        #expect(response.status == status)
        #expect(event == nil)
        #expect(response.headers[BusRoutes.eventField] == nil)
        #expect((response.headers["Retry-After"] != nil) == (status == 503))
        #expect(response.text?.contains(error.message) == true)
    }

    @Test func `a dry run tells which instances a destination is for, and why none is`() async throws {
        let binder = MemoryBinder()
        try await withBuses(["config:8888:x"], over: binder) { _ in
        } _: { buses in
            let router = BusRoutes(bus: buses[0], knownIDs: { ["orders:dev:8081:a", "orders:8082:b"] }).router
            func answer(_ target: String) async throws -> String {
                (await router.respond(to: try #require(HTTPRequest("GET", target)))).text ?? ""
            }
            let some = try await answer("/bus/matches?destination=orders")
            #expect(
                some == "{\"destination\":\"orders:**\",\"matches\":[\"orders:8082:b\",\"orders:dev:8081:a\"],\"known\":3}\n")
            let none = try await answer("/bus/matches?destination=orders:8081")
            #expect(none.contains("orders:*:8081:** would match 1"))
        }
    }
}
