import Foundation
import HTTP
import Locking
import Operations
import Telemetry
import Testing

private final class Switch: Sendable {
    let problem = Locked<String?>(nil)
}

@Suite struct OperationsRoutesTests {
    private func get(_ router: Router, _ path: String) async throws -> (Int, [String: Any]?) {
        let response = await router.respond(to: try #require(HTTPRequest("GET", path)))
        return (response.status, try? JSONSerialization.jsonObject(with: Data(response.bytes ?? [])) as? [String: Any])
    }

    @Test func `ready means that every check is in order, live only that the process answers`() async throws {
        let broker = Switch()
        var router = Router()
        OperationsRoutes(
            checks: [.init("broker") { broker.problem.withLock { $0 } }, .init("other") { nil }], metrics: Metrics()
        ).add(to: &router)
        #expect(try await get(router, "/health/ready").0 == 200)
        broker.problem.withLock { $0 = "no connection to \"host\"" }
        let (status, body) = try await get(router, "/health/ready")
        #expect(status == 503)
        #expect(body?["status"] as? String == "DOWN")
        let components = try #require(body?["components"] as? [String: [String: String]])
        #expect(components["broker"] == ["status": "DOWN", "reason": "no connection to \"host\""])
        #expect(components["other"] == ["status": "UP"])
        #expect(try await get(router, "/health/live").0 == 200)
        #expect(try await get(router, "/actuator/health").0 == 503)
    }

    @Test func `metrics are served as Prometheus text`() async throws {
        let metrics = Metrics()
        metrics.count("rings_total", help: "Rings.")
        var router = Router()
        OperationsRoutes(checks: [], metrics: metrics).add(to: &router)
        let response = await router.respond(to: try #require(HTTPRequest("GET", "/metrics")))
        #expect(response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(response.text?.contains("rings_total 1\n") == true)
    }
}
