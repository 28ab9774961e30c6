import Channels
import HTTP
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct StreamRouteTests {
    @Test func `a stream says ready, then gives each event with its position and content`() async throws {
        try await ChannelBench.with { bench in
            try await bench.withStream("/channels/d") { stream in
                let first = try await stream.events(1)
                #expect(first[0].event == "ready" && first[0].id != nil)
                _ = try await bench.json(
                    "POST", "/channels/d", headers: ["Content-Type": "text/x", "ce-a": "b", "carillon-key": "k"], body: "one\ntwo")
                _ = try await bench.binder.publish(Envelope(payload: [0xFF]), to: try Destination("d"))
                let events = try await stream.events(3)
                let data = try WireValue(Array(events[1].data.utf8))
                #expect(events[1].id?.isEmpty == false && events[1].event == nil)
                #expect(data["payload"]?.string == "one\ntwo" && data["encoding"]?.string == "utf-8" && data["key"]?.string == "k")
                #expect(data["contentType"]?.string == "text/x" && data["headers"]?["ce-a"]?.string == "b" && data["id"]?.string != nil)
                let binary = try WireValue(Array(events[2].data.utf8))
                #expect(binary["payload"]?.string == "/w==" && binary["encoding"]?.string == "base64")
            }
        }
    }

    @Test func `a stream resumes behind the last event seen, also when it has only seen ready`() async throws {
        try await ChannelBench.with { bench in
            let atReady = try await bench.withStream("/channels/d") { try await $0.events(1)[0].id }
            for text in ["a", "b", "c"] { _ = try await bench.json("POST", "/channels/d", body: text) }
            let id = try await bench.withStream("/channels/d", headers: ["Last-Event-ID": try #require(atReady)]) { stream in
                let events = try await stream.events(4)
                #expect(stream.payloads == ["a", "b", "c"])
                return events[1].id
            }
            let last = try #require(id)
            for target in [
                "/channels/d?after=\(last)", "/channels/d?after=earliest", "/channels/d?after=1000000000000",
                "/channels/d?after=2020-01-01T00:00:00Z",
            ] {
                let expected = target.hasSuffix(last) ? ["b", "c"] : ["a", "b", "c"]
                try await bench.withStream(target) { stream in
                    try await eventually(within: .seconds(30), target) { stream.payloads.count >= expected.count }
                    #expect(stream.payloads == expected, "\(target)")
                }
            }
            try await bench.withStream("/channels/d?after=2100-01-01T00:00:00%2B01:00") { stream in
                _ = try await stream.events(1)
                _ = try await bench.json("POST", "/channels/d", body: "new")
                try await eventually(within: .seconds(30), "the new event") { stream.payloads == ["new"] }
            }
        }
    }

    @Test func `a position that is gone is told as a gap, one that is none as an error`() async throws {
        try await ChannelBench.with { bench in
            _ = try await bench.json("POST", "/channels/d", body: "a")
            try await bench.withStream("/channels/d", headers: ["Last-Event-ID": "zzzzzz-7"]) { stream in
                let events = try await stream.events(3)
                #expect(events.map(\.event) == ["ready", "gap", nil])
            }
            try await bench.withStream("/channels/d?after=nonsense") { stream in
                let events = try await stream.events(1)
                #expect(events[0].event == "error" && events[0].data.contains("invalid"))
                try await eventually(within: .seconds(30), "the end of the stream") { stream.hasEnded }
            }
        }
    }

    @Test func `a stream without events is kept alive by comments, and ends with the broker`() async throws {
        let stream = try await ChannelBench.with(ChannelSettings(keepAlive: .milliseconds(20))) { bench in
            try await bench.withStream("/channels/d") { stream in
                try await eventually(within: .seconds(30), "comments") { stream.comments >= 3 }
                return stream
            }
        }
        try await eventually(within: .seconds(30), "the end of the stream") { stream.hasEnded }
    }

    @Test func `one stream more than the bound is refused, and goes when another has ended`() async throws {
        try await ChannelBench.with(ChannelSettings(streams: 1)) { bench in
            try await bench.withStream("/channels/d") { stream in
                _ = try await stream.events(1)
                let refused = try await bench.ask("GET", "/channels/d")
                #expect(refused.status == 429 && refused.headers["Retry-After"] != nil)
            }
            try await eventually(within: .seconds(30), "a place") { try await bench.ask("GET", "/channels/d").status == 200 }
        }
    }

    @Test func `one destination has a bound of its own`() async throws {
        try await ChannelBench.with(ChannelSettings(streamsPerDestination: 1)) { bench in
            try await bench.withStream("/channels/d") { stream in
                _ = try await stream.events(1)
                let refused = try await bench.ask("GET", "/channels/d")
                #expect(refused.status == 429 && refused.text?.contains("for one destination") == true)
                #expect(try await bench.ask("GET", "/channels/e").status == 200)
            }
        }
    }

    @Test func `events come as CloudEvents where that is asked for`() async throws {
        try await ChannelBench.with { bench in
            _ = try await bench.json("POST", "/channels/d", headers: ["Content-Type": "application/json"], body: #"{"n":1.50}"#)
            try await bench.withStream("/channels/d?after=earliest&format=cloudevents") { stream in
                let event = try #require(try await stream.events(2).last)
                #expect(event.data.hasSuffix(#","datacontenttype":"application/json","data":{"n":1.50}}"#))
                #expect(try CloudEvent(structured: Array(event.data.utf8))["source"] == "/channels/d")
            }
            let refused = try await bench.ask("GET", "/channels/d?format=xml")
            #expect(refused.status == 400 && refused.text?.contains("format=xml") == true)
        }
    }
}
