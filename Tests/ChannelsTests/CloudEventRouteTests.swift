import Channels
import HTTP
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct CloudEventRouteTests {
    private func one(_ id: String, _ data: String = "{}") -> String {
        #"{"specversion":"1.0","type":"t","source":"/s","id":"\#(id)","partitionkey":"k","data":\#(data)}"#
    }

    @Test func `structured, batch and binary events are published as what they are`() async throws {
        try await ChannelBench.with { bench in
            try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
            let structured = try await bench.json(
                "POST", "/channels/d", headers: ["Content-Type": "application/cloudevents+json; charset=utf-8"], body: one("1"))
            #expect(structured["id"]?.string == "1")
            let batch = try await bench.json(
                "POST", "/channels/d", headers: ["Content-Type": "application/cloudevents-batch+json"],
                body: "[\(one("2")),\(one("3", "[1.0]"))]")
            #expect(batch["events"]?.array?.map { $0["id"]?.string } == ["2", "3"])
            let binary: HTTPHeaders = [
                "ce-specversion": "1.0", "ce-id": "4", "ce-type": "t", "ce-source": "/s", "Content-Type": "text/x", "carillon-key": "mine",
                "carillon-tenant": "a",
            ]
            _ = try await bench.json("POST", "/channels/d", headers: binary, body: "plain")

            let deliveries = try await bench.pullAll(4)
            #expect(deliveries.map { $0["id"]?.string } == ["1", "2", "3", "4"])
            #expect(deliveries.map { $0["key"]?.string } == ["k", "k", "k", "mine"])
            #expect(deliveries.map { $0["payload"]?.string } == ["{}", "{}", "[1.0]", "plain"])
            #expect(deliveries[3]["headers"]?["carillon-tenant"]?.string == "a" && deliveries[3]["contentType"]?.string == "text/x")
        }
    }

    @Test func `a pull gives CloudEvents where they are accepted`() async throws {
        try await ChannelBench.with { bench in
            try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
            let type: HTTPHeaders = ["Content-Type": "application/cloudevents+json"]
            for id in ["1", "2"] { _ = try await bench.json("POST", "/channels/d", headers: type, body: one(id)) }
            let single = try await bench.json(
                "POST", "/channels/d/groups/g/pull?wait=5", headers: ["Accept": "application/cloudevents+json"])
            let delivery = try #require(single["deliveries"]?.array?.first)
            #expect(
                delivery["event"]?["id"]?.string == "1" && delivery["event"]?["data"] == .object([]) && delivery["attempt"] == .integer(1))
            let batch = try await bench.ask(
                "POST", "/channels/d/groups/g/pull?wait=5", headers: ["Accept": "application/cloudevents-batch+json"])
            #expect(batch.headers["Content-Type"] == "application/cloudevents-batch+json")
            let event = try #require(try CloudEvent.batch(batch.bytes ?? []).first)
            #expect(event["id"] == "2" && event["carillonattempt"] == "1")
            let tokens = [delivery["token"]?.string, event["carillontoken"]].compactMap { $0 }
            #expect(try await bench.settle(#"{"accept":["\#(tokens[0])","\#(tokens[1])"]}"#) == ["accepted", "accepted"])
            let none = try await bench.ask("POST", "/channels/d/groups/g/pull", headers: ["Accept": "application/cloudevents-batch+json"])
            #expect(none.text == "[]\n")
        }
    }

    @Test func `nothing of a batch is published unless all can be read, and no more than the bound`() async throws {
        try await ChannelBench.with(ChannelSettings(batch: 2)) { bench in
            try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
            let type: HTTPHeaders = ["Content-Type": "application/cloudevents-batch+json"]
            let wrong = try await bench.ask("POST", "/channels/d", headers: type, body: "[\(one("1")),\(one(""))]")
            #expect(wrong.status == 400 && wrong.text?.contains("`id` of event 2 of the batch is empty") == true)
            let long = try await bench.ask("POST", "/channels/d", headers: type, body: "[\(one("1")),\(one("2")),\(one("3"))]")
            #expect(long.status == 413)
            let other = try await bench.ask("POST", "/channels/d", headers: ["Content-Type": "application/cloudevents+avro"], body: "x")
            #expect(other.status == 415 && other.text?.contains("application/cloudevents+json") == true)
            let backlog = try await bench.binder.backlog(of: try Destination("d"), group: try ConsumerGroup("g"))
            #expect(backlog.total == 0)
        }
    }

    @Test func `a batch that the broker stops taking says what was published`() async throws {
        try await ChannelBench.with(limits: LocalLimits(backlogEvents: 1)) { bench in
            try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
            let answer = try await bench.ask(
                "POST", "/channels/d", headers: ["Content-Type": "application/cloudevents-batch+json"], body: "[\(one("1")),\(one("2"))]")
            #expect(answer.status == 503)
            let value = try WireValue(answer.bytes ?? [])
            #expect(value["events"]?.array?.map { $0["id"]?.string } == ["1"] && value["error"]?.string == "blocked")
        }
    }
}
