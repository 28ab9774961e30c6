import HTTP
import HTTPClient
import LocalBinder
import Streams
import TestSupport
import Testing

@testable import Functions

@Suite struct OperationsTests {
    @Test func `bindings are stopped, started, paused and resumed over HTTP, and health and metrics are served`() async throws {
        let seen = Recorded<String>()
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x", group: "g")
        settings.serve(port: 0)
        try await Bench.with(settings) { app in
            app.function("f") { (text: String) in seen.add(text) }
        } _: { bench in
            try await eventually { bench.app.port ?? 0 > 0 }
            let client = HTTPClient()
            let base = "http://127.0.0.1:\(bench.app.port ?? 0)"
            func call(_ method: String, _ path: String, _ body: String = "") async throws -> HTTPClientResponse {
                try await client.send(HTTPClientRequest(method, base + path, body: Array(body.utf8)))
            }
            func change(_ state: String) async throws -> Int {
                try await call("POST", "/actuator/bindings/f-in-0", "{\"state\":\"\(state)\"}").status
            }
            #expect(try await call("GET", "/health/ready").status == 200)
            #expect(try await change("STARTED") == 409)
            #expect(try await change("PAUSED") == 204)
            try await bench.publish("a", to: "x")
            #expect(try await call("GET", "/actuator/bindings").text.contains(#""state":"paused""#) == true)
            #expect(seen.all.isEmpty)
            #expect(try await change("RESUMED") == 204)
            try await eventually { seen.all == ["a"] }
            #expect(try await change("STOPPED") == 204)
            #expect(bench.app.bindingStates[0].state == .stopped)
            try await bench.publish("b", to: "x")
            #expect(try await change("STARTED") == 204)
            try await eventually { seen.all == ["a", "b"] }
            #expect(try await call("GET", "/metrics").text.contains(#"carillon_function_seconds_count{binding="f-in-0"} 2"#) == true)
        }
    }
}
