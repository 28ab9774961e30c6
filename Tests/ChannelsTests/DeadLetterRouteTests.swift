import Channels
import HTTP
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct DeadLetterRouteTests {
    /// Gives up one event for each text, with the header `kind` of its first letter.
    private func bury(_ texts: [String], _ bench: ChannelBench) async throws {
        try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
        for text in texts {
            _ = try await bench.json("POST", "/channels/d", headers: ["carillon-kind": String(text.prefix(1))], body: text)
        }
        let tokens = try await bench.pullAll(texts.count).compactMap { $0["token"]?.string }
        let entries = tokens.map { #"{"token":"\#($0)","reason":{"message":"no good","kind":"Bad"}}"# }
        _ = try await bench.settle(#"{"reject":[\#(entries.joined(separator: ","))]}"#)
    }

    private func list(_ query: String, _ bench: ChannelBench) async throws -> [String?] {
        try await bench.json("GET", "/channels/d/groups/g/dead-letters?\(query)")["deadLetters"]?.array?.map {
            $0["envelope"]?["payload"]?.string
        } ?? []
    }

    @Test func `dead letters are chosen by header and time, and one by its id`() async throws {
        try await ChannelBench.with { bench in
            try await bury(["a1", "b1", "a2"], bench)
            #expect(try await list("", bench) == ["a1", "b1", "a2"])
            #expect(try await list("header=Carillon-Kind:a", bench) == ["a1", "a2"])
            #expect(try await list("header=carillon-kind:a&header=other:x", bench) == [])
            #expect(try await list("since=1h", bench).count == 3)
            #expect(try await list("until=1h", bench) == [])
            #expect(try await list("since=2100-01-01T00:00:00Z", bench) == [])
            let first = try await bench.json("GET", "/channels/d/groups/g/dead-letters?limit=1")
            #expect(first["deadLetters"]?.array?.count == 1 && first["more"] == .boolean(true))
            let id = try #require(first["deadLetters"]?.array?.first?["id"]?.string)
            #expect(try await list("id=\(id)", bench) == ["a1"])
            #expect(try await bench.ask("GET", "/channels/d/groups/g/dead-letters?id=999").status == 404)
            for (query, says) in [("since=soon", "since="), ("header=x", "header=x"), ("limit=0", "limit=0")] {
                let refused = try await bench.ask("GET", "/channels/d/groups/g/dead-letters?\(query)")
                #expect(refused.status == 400 && refused.text?.contains(says) == true)
            }
        }
    }

    @Test func `a filter replays to the failing group only, with the original headers, and drops`() async throws {
        try await ChannelBench.with { bench in
            try await bench.binder.prepare(group: try ConsumerGroup("other"), of: try Destination("d"))
            try await bury(["a1", "b1", "a2"], bench)
            let index = try await bench.json("GET", "/channels")
            #expect(
                index["deadLetters"]?.array?.first?["group"] == .string("g") && index["deadLetters"]?.array?.first?["count"] == .integer(3))
            let path = "/channels/d/groups/g/dead-letters"
            let replayed = try await bench.json("POST", path + "/replay", body: #"{"filter":{"headers":{"carillon-kind":"a"}}}"#)
            #expect(replayed["replayed"] == .integer(2))
            let again = try await bench.pullAll(2)
            #expect(again.compactMap { $0["payload"]?.string } == ["a1", "a2"])
            #expect(again.allSatisfy { $0["headers"] == .object([.init("carillon-kind", .string("a"))]) && $0["attempt"] == .integer(1) })
            let others = try await bench.binder.backlog(of: try Destination("d"), group: try ConsumerGroup("other"))
            #expect(others.total == 3)
            let dropped = try await bench.json("POST", path + "/drop", body: #"{"filter":{"since":"1h","until":"2100-01-01T00:00:00Z"}}"#)
            #expect(dropped["dropped"] == .integer(1))
            #expect(try await list("", bench) == [])
            for body in [
                #"{"filter":{}}"#, #"{"filter":{"haeders":{}}}"#, #"{"filter":{"headers":{"a":[]}}}"#, #"{"filter":{"since":true}}"#,
            ] {
                let refused = try await bench.ask("POST", path + "/drop", body: body)
                #expect(refused.status == 400, "\(body)")
            }
        }
    }

    @Test func `a broker that keeps no dead letters to look at says so by name`() async throws {
        let binder = MemoryBinder()
        let router = Channels(binder: binder).router
        for (method, path) in [("GET", "/channels/d/groups/g/dead-letters"), ("POST", "/channels/d/groups/g/dead-letters/replay")] {
            let request = try #require(HTTPRequest(method, path, body: Array(#"{"all":true}"#.utf8)))
            let response = await router.respond(to: request)
            #expect(response.status == 501 && response.text?.contains(binder.name) == true)
        }
    }
}
