import Bus
import BusEndpoints
import HTTP
import JSON
import Streams
import TestSupport
import Testing

@Suite struct BusTraceTests {
    @Test func `the trace shows what was sent, received and acknowledged, newest first, and never a value`() async throws {
        let binder = MemoryBinder()
        let trace = BusTrace(capacity: 4)
        try await withBuses(["orders:1:a", "billing:2:b"], over: binder) { bus in
            if bus.id.application == "orders" { trace.watch(bus) }
        } _: { buses in
            func entries() async throws -> [JSONValue] {
                let response = await trace.router.respond(to: try #require(HTTPRequest("GET", "/bus/trace")))
                return try JSONReader.read(response.bytes ?? [])["entries"]?.items ?? []
            }
            let id = try await buses[1].changeEnvironment([EnvironmentValue(name: "db.password", value: "s3cret")], "billing")
            try await eventually { try await entries().contains { $0["ackId"] == .string(id) } }
            let seen = try await entries()
            #expect(!JSONValue.array(seen).written.contains("s3cret"))
            let event = try #require(seen.first { $0["id"] == .string(id) })
            #expect(event["signal"] == .string("received"))
            #expect(event["note"] == .string("not addressed"))
            #expect(event["keys"] == .array([.string("db.password")]))
            #expect(event["destination"] == .string("billing:**"))
            let last = try await buses[0].refresh("nobody", details: RefreshDetails(version: "v1"))
            let newest = try #require(try await entries().first)
            #expect(newest["id"] == .string(last))
            #expect(newest["signal"] == .string("sent"))
            #expect(newest["version"] == .string("v1"))
            binder.inject(Envelope(text: "no event", contentType: nil))
            try await eventually { try await entries().first?["signal"] == .string("refused") }
            #expect(try await entries().count == 4)
        }
    }
}
