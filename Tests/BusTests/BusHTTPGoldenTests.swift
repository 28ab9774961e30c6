import Bus
import BusEndpoints
import HTTP
import JSON
import Streams
import TestSupport
import Testing

@Suite struct BusHTTPGoldenTests {
    /// Why a recorded exchange is not judged; nil where it is.
    private func leave(_ path: String, _ method: String, _ answer: Int) -> String? {
        if path.hasPrefix("/probe/") { return "a path of the recorded application" }
        if path.hasPrefix("/actuator/busshutdown") { return "peers are never ended from here" }
        if path == "/actuator" { return "the index of another program" }
        if path.hasPrefix("/actuator/busrefresh"), method == "POST", [400, 415, 500].contains(answer), !path.contains("%2F") {
            return "the body of a refresh is ignored, so that webhooks work"
        }
        if path.contains("%25") { return "an encoded per cent sign in a path reaches no route, for safety" }
        if answer == 404 { return "the paths of all generations are served" }
        return nil
    }

    @Test func `requests are answered, published and acknowledged as recorded`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-http-and-wire") {
            var report = GoldenReport("\(recording.name) exchanges")
            let document = try JSONReader.read(try recording.bytes())
            let instances =
                document["instances"]?.members.compactMap { member in member.value["busId"]?.string.map { (member.name, $0) } } ?? []
            for step in document["steps"]?.items ?? [] {
                guard let name = step["name"]?.string, let path = step["request"]?["path"]?.string, let at = step["at"]?.string,
                    let method = step["request"]?["method"]?.string, let status = step["answer"]?["status"]?.integer
                else { continue }
                if step["quirk"]?.isTrue == true {
                    report.quirk()
                    continue
                }
                if let why = leave(path, method, Int(status)) {
                    report.leave(name, why)
                    continue
                }
                let headers = HTTPHeaders(
                    (step["request"]?["headers"]?.members ?? []).map { (name: $0.name, value: $0.value.string ?? "") })
                let body = step["request"]?["body"]?.string.map { Array($0.utf8) } ?? []
                guard let request = HTTPRequest(method, path, headers: headers, body: body) else {
                    // The server refuses such targets before any route, such as an encoded slash.
                    report.played(status == 400)
                    #expect(status == 400, "\(name)")
                    continue
                }
                let recorded = (step["wire"]?.items ?? []).compactMap { Self.summary(($0["body"] ?? $0["value"])?.string) }
                let ours = try await exchange(request, at: at, instances: instances)
                var ok = ours.response.status == Int(status) && ours.wire == recorded.sorted()
                if status == 405 { ok = ok && ours.response.headers["Allow"]?.contains("POST") == true }
                report.played(ok)
                #expect(ok, "\(name): \(ours.response.status) \(ours.wire) instead of \(status) \(recorded.sorted())")
            }
            #expect(report.count > 0)
            report.show()
        }
    }

    @Test func `bodies of a refresh never stop it, whatever the original made of them`() async throws {
        for recording in try GoldenFolder.recordings("bus", prefix: "bus-refresh-bodies") {
            var report = GoldenReport(recording.name)
            let document = try JSONReader.read(try recording.bytes())
            for one in document["cases"]?.items ?? [] {
                guard let name = one["name"]?.string, let status = one["answer"]?["status"]?.integer else { continue }
                var headers = HTTPHeaders()
                headers["Content-Type"] = one["contentType"]?.string
                let body = Array((one["body"]?.string ?? "").utf8)
                let request = try #require(HTTPRequest("POST", "/actuator/busrefresh", headers: headers, body: body))
                let ours = try await exchange(request, at: "one", instances: [("one", "orders:1:a")])
                let published = ours.wire.contains { $0.hasPrefix("RefreshRemoteApplicationEvent") && $0.contains("**") }
                report.played(ours.response.status == 204 && published)
                #expect(ours.response.status == 204 && published, "\(name)")
                if status != 204 { report.leave("\(name), answered \(status) by the original", "judged by our rule") }
            }
            #expect(report.count > 0)
            report.show()
        }
    }

    /// What matters of a message: type, sender, destination, what it acknowledges, the values it sets.
    private static func summary(_ body: String?) -> String? {
        guard let body, let event = try? BusEvent(decoding: Array(body.utf8)) else { return nil }
        var text = "\(event.type ?? "") from \(event.origin) to \(event.destination ?? "")"
        if let one = event.acknowledgement { text += " of \(one.eventClass ?? "") to \(one.destination ?? "")" }
        if case .environmentChange(let values) = event.kind { text += " \(values)" }
        return text
    }

    private func exchange(
        _ request: HTTPRequest, at: String, instances: [(name: String, id: String)]
    ) async throws -> (response: HTTPResponse, wire: [String]) {
        let binder = MemoryBinder()
        return try await withBuses(instances.map(\.id), over: binder) { bus in
            for kind in [EventBus.HandledKind.refresh, .environmentChange] { bus.handle(kind) { _ in EventBus.Handled(.applied) } }
        } _: { buses in
            let bus = try #require(zip(instances, buses).first { $0.0.name == at }?.1)
            let response = await BusRoutes(bus: bus).router.respond(to: request)
            // Whoever has acknowledged this one has acknowledged all before it.
            let fence = try await bus.refresh()
            let acknowledged = { binder.published.filter { (try? BusEvent(decoding: $0.payload))?.acknowledgement?.id == fence }.count }
            try await eventually("everybody has acknowledged the fence") { acknowledged() == buses.count }
            let wire = binder.published.filter {
                let event = try? BusEvent(decoding: $0.payload)
                return event?.id != fence && event?.acknowledgement?.id != fence
            }
            return (response, wire.compactMap { Self.summary(String(decoding: $0.payload, as: UTF8.self)) }.sorted())
        }
    }
}
