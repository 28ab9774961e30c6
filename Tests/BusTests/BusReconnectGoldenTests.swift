import Bus
import BusEndpoints
import HTTP
import JSON
import Streams
import TestSupport
import Testing

/// What an instance says and does while its broker is away, beside what the original did. That it goes on afterwards is tried with real brokers
/// elsewhere: there are no recordings of ours to compare times with.
@Suite struct BusReconnectGoldenTests {
    @Test func `while the broker is away nothing is called published, nothing is applied, and health says so`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "reconnect-") {
            var report = GoldenReport(recording.name)
            let document = try JSONReader.read(try recording.bytes())
            var isAway = false
            for step in document["timeline"]?.items ?? [] {
                guard let what = step["what"]?.string else { continue }
                if what.hasPrefix("broker stopped") || what.hasPrefix("broker killed") { isAway = true }
                if what.hasPrefix("broker is back") { isAway = false }
                guard isAway else { continue }
                let status = step["post"]?["status"]?.integer ?? step["status"]?.integer
                if what.hasPrefix("busrefresh"), let status {
                    let ours = try await refreshWithoutBroker()
                    let ok = ours.status >= 500 && status >= 500 && !ours.applied && !ours.isReady
                    report.played(ok)
                    #expect(ok, "\(recording.name): \(what): \(ours)")
                } else if what.hasPrefix("health"), let status {
                    let ours = try await refreshWithoutBroker()
                    report.played(ours.isReady == (status == 200))
                    #expect(ours.isReady == (status == 200), "\(recording.name): \(what)")
                } else if what.hasSuffix("itself saw"), step["events"]?.items.isEmpty == true {
                    let ours = try await refreshWithoutBroker()
                    report.played(!ours.applied)
                    #expect(!ours.applied, "\(recording.name): \(what)")
                } else if status == 200 || what.hasSuffix("itself saw") {
                    report.leave(
                        what, "answered 200 before any broker had it, and lost after two minutes; ours answers 503 and applies nothing")
                } else if let status {
                    let ours = try await refreshWithoutBroker()
                    report.played(ours.status >= 500 && status >= 500)
                    #expect(ours.status >= 500 && status >= 500, "\(recording.name): \(what)")
                }
            }
            report.show()
        }
    }

    /// One instance whose broker has just gone away, and a refresh that is asked of it.
    private func refreshWithoutBroker() async throws -> (status: Int, applied: Bool, isReady: Bool) {
        let binder = MemoryBinder()
        let applied = Collected<String>()
        return try await withBuses(["alpha:1:x"], over: binder) { bus in
            bus.handle(.refresh) { message in
                applied.add(message.event.id)
                return EventBus.Handled(.applied)
            }
        } _: { buses in
            binder.stall()
            let request = try #require(HTTPRequest("POST", "/actuator/busrefresh"))
            let response = await BusRoutes(bus: buses[0], limit: .milliseconds(300)).router.respond(to: request)
            return (response.status, applied.count > 0, buses[0].brokerReadiness.isReady)
        }
    }
}
