import Channels
import HTTP
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct PullRouteTests {
    private func payloads(_ deliveries: [WireValue]) -> [String] { deliveries.compactMap { $0["payload"]?.string } }
    private func tokens(_ deliveries: [WireValue]) -> [String] { deliveries.compactMap { $0["token"]?.string } }

    /// Publishes to `d`, whose group `g` exists from then on.
    private func send(_ texts: [String], _ bench: ChannelBench) async throws {
        try await bench.binder.prepare(group: try ConsumerGroup("g"), of: try Destination("d"))
        for text in texts { _ = try await bench.json("POST", "/channels/d", headers: ["ce-n": text], body: text) }
    }

    private func backlog(_ bench: ChannelBench) async throws -> Backlog {
        try await bench.binder.backlog(of: try Destination("d"), group: try ConsumerGroup("g"))
    }

    @Test func `deliveries are pulled with all that they carry, and settled each in its way`() async throws {
        try await ChannelBench.with { bench in
            try await send(["a", "b", "c", "d", "e"], bench)
            let deliveries = try await bench.pullAll(5)
            #expect(payloads(deliveries) == ["a", "b", "c", "d", "e"])
            #expect(
                deliveries.allSatisfy { $0["attempt"]?.integer == 1 && $0["id"]?.string != nil && $0["headers"]?["ce-n"] == $0["payload"] })
            let t = tokens(deliveries)
            let results = try await bench.settle(
                """
                {"accept":["\(t[0])"],"retry":[{"token":"\(t[1])","after":0.05},"\(t[2])"],"reject":[{"token":"\(t[3])","reason":"no"}],
                 "release":["\(t[4])"],"extend":[{"token":"nobody","lease":"5s"}]}
                """)
            #expect(results == ["accepted", "retried", "retried", "rejected", "released", "unknown"])
            let all = try await bench.pullAll(3)
            #expect(Set(payloads(all)) == ["b", "c", "e"])
            #expect(Dictionary(uniqueKeysWithValues: zip(payloads(all), all.map { $0["attempt"]?.integer })) == ["b": 2, "c": 2, "e": 1])
            let letters = try await bench.json("GET", "/channels/d/groups/g/dead-letters")["deadLetters"]?.array ?? []
            #expect(letters.map { $0["envelope"]?["payload"]?.string } == ["d"] && letters.first?["reason"]?["message"]?.string == "no")
            let replayed = try await bench.json("POST", "/channels/d/groups/g/dead-letters/replay", body: #"{"all":true}"#)
            #expect(replayed["replayed"] == .integer(1))
            #expect(payloads(try await bench.pullAll(1)) == ["d"])
        }
    }

    @Test func `a settled or foreign token is unknown, and the others of the same request are settled`() async throws {
        try await ChannelBench.with { bench in
            try await send(["a", "b"], bench)
            let t = tokens(try await bench.pullAll(2))
            #expect(try await bench.settle(#"{"accept":["\#(t[0])"]}"#) == ["accepted"])
            #expect(
                try await bench.settle(#"{"accept":["\#(t[0])","x","1.2.3","\#(t[1])"]}"#) == ["unknown", "unknown", "unknown", "accepted"])
            #expect(try await bench.settle(#"{"accept":["\#(t[1])"]}"#, in: "other/groups/g") == ["unknown"])
            #expect(try await backlog(bench).total == 0)
        }
    }

    @Test func `a lease that runs out gives the delivery to the next, and an extended one does not`() async throws {
        try await ChannelBench.with { bench in
            try await send(["a", "b"], bench)
            let first = try await bench.pullAll(2, "lease=3s")
            let t = tokens(first)
            #expect(try await bench.settle(#"{"extend":[{"token":"\#(t[1])","lease":60}]}"#) == ["extended"])
            let again = try await bench.pullAll(1)
            #expect(payloads(again) == ["a"] && again.first?["attempt"]?.integer == 2)
            #expect(try await bench.settle(#"{"accept":["\#(t[0])","\#(t[1])"]}"#) == ["unknown", "accepted"])
        }
    }

    @Test func `a pull waits for an event, and answers nothing when none came in time`() async throws {
        try await ChannelBench.with { bench in
            #expect(try await bench.pull("wait=0") == [])
            async let waiting = bench.pull("wait=10")
            try await eventually(within: .seconds(30), "the pull") { try await backlog(bench).members == 1 }
            _ = try await bench.json("POST", "/channels/d", body: "x")
            #expect(payloads(try await waiting) == ["x"])
        }
    }

    @Test func `clients that leave while they wait lose nothing, not even an attempt`() async throws {
        try await ChannelBench.with { bench in
            try await send([], bench)
            for round in 0..<30 {
                await withTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { _ = try? await bench.pull("wait=10&lease=100") }
                    tasks.addTask { _ = try? await bench.json("POST", "/channels/d", body: "\(round)") }
                    if round.isMultiple(of: 3) { await Task.yield() }
                    tasks.cancelAll()
                }
            }
            _ = try await bench.json("POST", "/channels/d", body: "end")
            // What was answered before the cancellation is leased to a client that is gone; everything else is here at its first attempt.
            let backlog = try await backlog(bench)
            let rest = try await bench.pullAll(backlog.ready)
            #expect(rest.count == backlog.ready && rest.allSatisfy { $0["attempt"]?.integer == 1 })
            #expect(payloads(rest).last == "end")
        }
    }

    @Test func `members share a group, and one that leaves gives back what it has`() async throws {
        try await ChannelBench.with { bench in
            try await send(["a", "b", "c"], bench)
            let one = try await bench.pullAll(2, "member=one")
            let two = try await bench.pullAll(1, "member=two")
            #expect(Set(payloads(one) + payloads(two)) == ["a", "b", "c"])
            let left = try await bench.ask("POST", "/channels/d/groups/g/leave?member=one")
            #expect(left.status == 204)
            let again = try await bench.pullAll(2, "member=two")
            #expect(Set(payloads(again)) == Set(payloads(one)))
            let unknown = try await bench.ask("POST", "/channels/d/groups/g/leave?member=one")
            #expect(unknown.status == 404 || unknown.status == 204)
        }
    }

    @Test func `a subscription that nobody uses ends, and begins again with the next pull`() async throws {
        try await ChannelBench.with(ChannelSettings(idle: .milliseconds(50))) { bench in
            try await send(["a"], bench)
            let first = try await bench.pullAll(1)
            try await eventually(within: .seconds(30), "the member") { try await backlog(bench).members == 1 }
            #expect(try await bench.settle(#"{"accept":["\#(tokens(first)[0])"]}"#) == ["accepted"])
            try await eventually(within: .seconds(30), "the end of the subscription") { try await backlog(bench).members == 0 }
            _ = try await bench.json("POST", "/channels/d", body: "b")
            #expect(payloads(try await bench.pullAll(1)) == ["b"])
        }
    }

    @Test func `two pulls that wait get one event each`() async throws {
        try await ChannelBench.with { bench in
            try await send([], bench)
            async let one = bench.pull("wait=10&max=1")
            async let two = bench.pull("wait=10&max=1")
            _ = try await bench.json("POST", "/channels/d", body: "x")
            _ = try await bench.json("POST", "/channels/d", body: "y")
            let all = try await payloads(one) + payloads(two)
            #expect(Set(all) == ["x", "y"])
        }
    }

    @Test func `at the end waiting pulls are answered and what is leased goes back`() async throws {
        let binder = LocalBinder()
        let channels = Channels(binder: binder)
        try await BinderBench.withBinder(binder) { binder in
            let bench = ChannelBench(binder: binder, router: channels.router)
            let refused = try await bench.ask("POST", "/channels/d/groups/g/pull")
            #expect(refused.status == 503)
            try await BinderBench.withService(channels) {
                try await send(["a"], bench)
                _ = try await bench.pullAll(1)
            }
            #expect(try await backlog(bench).ready == 1)
        }
    }
}
