import Channels
import HTTP
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct PublishRouteTests {
    @Test func `a body is published with its type, key and the fields that are headers, and answered with its id`() async throws {
        try await ChannelBench.with { bench in
            let headers: HTTPHeaders = [
                "Content-Type": "application/json", "Carillon-Key": "k", "carillon-tenant": "t", "ce-type": "order", "X-Other": "no",
                "traceparent": "00-1-2-01",
            ]
            let answer = try await bench.json("POST", "/channels/d", headers: headers, body: "{\"a\":1}")
            let options = SubscriptionOptions(start: .earliest)
            let received = try await bench.binder.withSubscription(to: try Destination("d"), group: nil, options: options) {
                try await $0.next()?.take()
            }
            let envelope = try #require(received?.envelope)
            #expect(envelope.payload == Array("{\"a\":1}".utf8) && envelope.contentType == "application/json" && envelope.key == "k")
            #expect(envelope.headers == ["carillon-tenant": "t", "ce-type": "order", "traceparent": "00-1-2-01"])
            #expect(answer["id"]?.string == envelope.id && answer["position"]?.string == received?.position)
        }
    }

    @Test func `an envelope as JSON is published as it is`() async throws {
        try await ChannelBench.with { bench in
            let sent = Envelope(
                id: "mine", payload: [0, 255], contentType: "x/y", headers: ["n": 1, "b": .bytes([1])], key: "k", timestamp: 5)
            let body = String(decoding: WireValue.object(sent.wireMembers).bytes, as: UTF8.self)
            let answer = try await bench.json("POST", "/channels/d", headers: ["Content-Type": Envelope.wireType + "; v=1"], body: body)
            let options = SubscriptionOptions(start: .earliest)
            let received = try await bench.binder.withSubscription(to: try Destination("d"), group: nil, options: options) {
                try await $0.next()?.take().envelope
            }
            #expect(answer["id"]?.string == "mine")
            #expect(received == sent)
        }
    }

    @Test func `refusals say what is wrong and what to do`() async throws {
        try await ChannelBench.with(ChannelSettings(bodyBytes: 10), limits: LocalLimits(backlogEvents: 1)) { bench in
            func refusal(_ method: String, _ target: String, headers: HTTPHeaders = [:], body: String = "") async throws -> (Int, String?) {
                let response = try await bench.ask(method, target, headers: headers, body: body)
                let value = try WireValue(response.bytes ?? [])
                #expect(value["message"]?.string?.isEmpty == false)
                return (response.status, value["error"]?.string)
            }
            #expect(try await refusal("POST", "/channels/d", body: "more than ten") == (413, "tooLarge"))
            #expect(try await refusal("POST", "/channels/a%20b", body: "x") == (400, "invalid"))
            #expect(try await refusal("POST", "/channels/d", headers: ["Content-Type": Envelope.wireType], body: "{") == (400, "invalid"))
            #expect(try await refusal("GET", "/channels/d/groups/nobody") == (404, "unknown"))
            #expect(try await refusal("POST", "/channels/d/groups/g/pull?max=0") == (400, "invalid"))
            #expect(try await refusal("POST", "/channels/d/groups/g/pull?lease=soon") == (400, "invalid"))
            #expect(try await refusal("POST", "/channels/d/groups/g/settle", body: "[]") == (400, "invalid"))
            #expect(try await refusal("POST", "/channels/d/groups/g/settle", body: #"{"acept":["x"]}"#) == (400, "invalid"))
            #expect(try await refusal("POST", "/channels/d/groups/g/dead-letters/drop", body: "{}") == (400, "invalid"))
            let prepared = try await bench.ask("PUT", "/channels/d/groups/full")
            #expect(prepared.status == 204)
            _ = try await bench.json("POST", "/channels/d", body: "1")
            let blocked = try await bench.ask("POST", "/channels/d", body: "2")
            #expect(blocked.status == 503 && blocked.headers["Retry-After"] != nil)
        }
    }

    @Test(
        arguments: [
            ("POST", "/channels/d", Channels.Change.publish), ("GET", "/channels/d", nil), ("HEAD", "/channels/d", nil),
            ("PUT", "/channels/d/groups/g", .take), ("GET", "/channels/d/groups/g", nil), ("POST", "/channels/d/groups/g/pull", .take),
            ("POST", "/channels/d/groups/g/settle", .take), ("POST", "/channels/d/groups/g/dead-letters/drop", .take),
            ("POST", "/bus/refresh", nil),
        ] as [(String, String, Channels.Change?)])
    func `each request tells what it changes`(_ method: String, _ target: String, _ change: Channels.Change?) throws {
        let request = try #require(HTTPRequest(method, target))
        #expect(Channels.change(by: request) == change)
    }
}
