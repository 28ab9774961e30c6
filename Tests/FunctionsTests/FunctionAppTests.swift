import Lifecycle
import LocalBinder
import Streams
import Telemetry
import TestSupport
import Testing

@testable import Functions

struct Order: Codable, Sendable, Hashable {
    var id: Int
    var item: String
}

struct Receipt: Codable, Sendable, Hashable {
    var order: Int
}

private func text(_ envelope: Envelope) -> String { String(decoding: envelope.payload, as: UTF8.self) }

@Suite struct FunctionAppTests {
    private let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func `a typed function takes its input, and its result goes to its output`() async throws {
        try await Bench.with(
            inputs: ["charge-in-0": InputBinding("orders", group: "billing")], outputs: ["charge-out-0": OutputBinding("receipts")]
        ) { app in
            app.function("charge") { (order: Order) async throws -> Receipt? in order.item == "none" ? nil : Receipt(order: order.id) }
        } _: { bench in
            try await bench.publish(#"{"id":6,"item":"none"}"#, #"{"id":7,"item":"bell"}"#, to: "orders", key: "k")
            let receipt = try await bench.taken(1, from: "receipts")[0]
            #expect(text(receipt) == #"{"order":7}"#)
            #expect(receipt.contentType == "application/json")
            #expect(receipt.key == "k")
            try await eventually { try await bench.backlog("orders", "billing").total == 0 }
        }
    }

    @Test func `an envelope is handed over as it is, with the binding's content type where it has none`() async throws {
        let seen = Recorded<Envelope>()
        try await Bench.with(inputs: ["audit-in-0": InputBinding("orders")]) { app in
            app.function("audit") { (envelope: Envelope) in seen.add(envelope) }
        } _: { bench in
            try await bench.publish("a", to: "orders", key: "k", headers: ["h": 1])
            try await eventually { seen.all.count == 1 }
            #expect(seen.all[0].headers["h"] == 1)
            #expect(seen.all[0].key == "k")
            #expect(seen.all[0].contentType == "application/json")
        }
    }

    @Test func `a result goes where its header says, as a new event, and the destination is listed`() async throws {
        try await Bench.with(
            inputs: ["route-in-0": InputBinding("orders", group: "r")], outputs: ["other": OutputBinding("named")]
        ) { app in
            app.function("route") { (envelope: Envelope) async throws -> Envelope? in
                var envelope = envelope
                envelope.headers[Outputs.destinationHeader] = .string(text(envelope))
                return envelope
            }
        } _: { bench in
            try await bench.publish("elsewhere", "other", to: "orders", headers: ["h": "x"])
            let envelope = try await bench.taken(1, from: "elsewhere")[0]
            #expect(envelope.headers == ["h": "x"])
            #expect(try await bench.taken(1, from: "named").map(text) == ["other"])
            #expect(bench.app.bindingStates.map(\.name) == ["elsewhere", "other", "route-in-0"])
            let first = try await bench.taken(1, from: "orders")[0]
            #expect(first.id != envelope.id)
        }
    }

    @Test func `a result that has nowhere to go is a dead letter that says so`() async throws {
        try await Bench.with(inputs: ["echo-in-0": InputBinding("orders", group: "e")]) { app in
            app.function("echo") { (envelope: Envelope) async throws -> Envelope? in envelope }
        } _: { bench in
            try await bench.publish("a", to: "orders")
            try await eventually { try await bench.deadLetters("orders", "e").count == 1 }
            #expect(try await bench.deadLetters("orders", "e")[0].reason.message.contains("bind `echo-out-0`"))
        }
    }

    @Test func `messages carry headers and keys both ways, and name their content type`() async throws {
        try await Bench.with(
            inputs: ["f-in-0": InputBinding("orders", group: "g")], outputs: ["f-out-0": OutputBinding("receipts")]
        ) { app in
            app.function("f") { (message: Message<Order>) async throws -> Message<Receipt>? in
                Message(
                    Receipt(order: message.payload.id), headers: ["from": message.headers["h"] ?? .null], key: "own",
                    contentType: "application/vnd.receipt+json")
            }
        } _: { bench in
            try await bench.publish(#"{"id":1,"item":"x"}"#, to: "orders", key: "k", headers: ["h": "shop"])
            let receipt = try await bench.taken(1, from: "receipts")[0]
            #expect(receipt.headers == ["from": "shop"])
            #expect(receipt.key == "own")
            #expect(receipt.contentType == "application/vnd.receipt+json")
        }
    }

    @Test func `texts and bytes travel as they are`() async throws {
        var typed = OutputBinding("typed")
        typed.contentType = "text/csv"
        try await Bench.with(
            inputs: [
                "a-in-0": InputBinding("x", group: "a"), "b-in-0": InputBinding("x", group: "b"), "c-in-0": InputBinding("x", group: "c"),
            ],
            outputs: ["a-out-0": OutputBinding("texts"), "b-out-0": OutputBinding("bytes"), "c-out-0": typed]
        ) { app in
            app.function("a") { (text: String) async throws -> String? in text.uppercased() }
            app.function("b") { (bytes: [UInt8]) async throws -> [UInt8]? in bytes.reversed() }
            app.function("c") { (text: String) async throws -> String? in text }
        } _: { bench in
            try await bench.publish("abc", to: "x")
            let texts = try await bench.taken(1, from: "texts")[0]
            #expect(text(texts) == "ABC")
            #expect(texts.contentType == "text/plain")
            let bytes = try await bench.taken(1, from: "bytes")[0]
            #expect(text(bytes) == "cba")
            #expect(bytes.contentType == "application/octet-stream")
            #expect(try await bench.taken(1, from: "typed")[0].contentType == "text/csv")
        }
    }

    @Test func `functions one after the other are bound by bars, and by Spring's name without them`() async throws {
        for name in ["trim|shout", "trimshout"] {
            try await Bench.with(
                inputs: ["\(name)-in-0": InputBinding("x", group: "a")], outputs: ["\(name)-out-0": OutputBinding("y")],
                functions: ["trim|shout"]
            ) { app in
                app.function("trim") { (text: String) async throws -> String? in text.filter { $0 != " " } }
                app.function("shout") { (text: String) async throws -> String? in text.uppercased() + "!" }
            } _: { bench in
                try await bench.publish(" a b ", to: "x", key: "k")
                let result = try await bench.taken(1, from: "y")[0]
                #expect(text(result) == "AB!")
                #expect(result.key == "k")
            }
        }
    }

    @Test func `several inputs share a handler, or have their own, and an input may have several destinations`() async throws {
        let seen = Recorded<String>()
        try await Bench.with(inputs: [
            "f-in-0": InputBinding("a", "b", group: "g"), "f-in-1": InputBinding("c", group: "g"), "f-in-2": InputBinding("d", group: "g"),
        ]) { app in
            app.function("f") { (text: String) in seen.add("\(FunctionContext.current?.destination ?? ""):\(text)") }
            app.function("f", input: 2) { (order: Order) in seen.add("order \(order.id)") }
        } _: { bench in
            for destination in ["a", "b", "c"] { try await bench.publish("x", to: destination) }
            try await bench.publish(#"{"id":3,"item":""}"#, to: "d")
            try await eventually { seen.all.count == 4 }
            #expect(Set(seen.all) == ["a:x", "b:x", "c:x", "order 3"])
        }
    }

    @Test func `the trace of an event goes on in its results and in what its handler sends`() async throws {
        let seen = Recorded<String?>()
        let apps = Recorded<FunctionApp>()
        try await Bench.with(
            inputs: ["f-in-0": InputBinding("x", group: "g")], outputs: ["f-out-0": OutputBinding("y")]
        ) { app in
            apps.add(app)
            app.function("f") { (text: String) async throws -> String? in
                seen.add(FunctionContext.current?.traceparent)
                try await apps.all[0].send("sent", to: "z")
                return text
            }
        } _: { bench in
            try await bench.publish("a", to: "x", headers: ["traceparent": .string(trace), "tracestate": "v=1"])
            for destination in ["y", "z"] {
                let headers = try await bench.taken(1, from: destination)[0].headers
                let child = try #require(TraceContext(headers["traceparent"]?.text ?? ""))
                #expect(child.trace == TraceContext(trace)?.trace)
                #expect(child.span != TraceContext(trace)?.span)
                #expect(headers["tracestate"] == "v=1")
            }
            #expect(seen.all == [trace])
        }
    }

    @Test func `events of one key keep their order while others are handled beside them`() async throws {
        let seen = Recorded<String>()
        var binding = InputBinding("x", group: "g")
        binding.concurrency = 8
        try await Bench.with(inputs: ["f-in-0": binding]) { app in
            app.function("f") { (message: Message<String>) in
                await Task.yield()
                seen.add("\(message.key ?? "")\(message.payload)")
            }
        } _: { bench in
            for number in 0..<40 { for key in ["a", "b", "c"] { try await bench.publish("\(number)", to: "x", key: key) } }
            try await eventually { seen.all.count == 120 }
            for key in ["a", "b", "c"] { #expect(seen.all.filter { $0.hasPrefix(key) } == (0..<40).map { "\(key)\($0)" }) }
        }
    }

    @Test func `a group that an output requires misses nothing that is sent before its first member`() async throws {
        var output = OutputBinding("y")
        output.requiredGroups = ["later"]
        try await Bench.with(inputs: ["f-in-0": InputBinding("x", group: "g")], outputs: ["f-out-0": output]) { app in
            app.function("f") { (text: String) async throws -> String? in text }
        } _: { bench in
            try await bench.publish("a", to: "x")
            try await eventually { (try? await bench.backlog("y", "later").ready) == 1 }
        }
    }

    @Test(arguments: [
        (OutputBinding.PartitionKey.header("region"), "north"), (.payload("/customer/id"), "42"), (.payload("/tags/1"), "b"),
    ])
    func `the key of a partitioned output is found in a header or in the payload`(key: OutputBinding.PartitionKey, value: String)
        async throws
    {
        var output = OutputBinding("y")
        output.partitionCount = 5
        output.partitionKey = key
        try await Bench.with(inputs: ["f-in-0": InputBinding("x", group: "g")], outputs: ["f-out-0": output]) { app in
            app.function("f") { (envelope: Envelope) async throws -> Envelope? in envelope }
        } _: { bench in
            try await bench.publish(#"{"customer":{"id":42},"tags":["a","b"]}"#, to: "x", headers: ["region": "north"])
            let envelope = try await bench.taken(1, from: "y")[0]
            #expect(envelope.key == value)
            #expect(envelope.headers[Partitioner.header] == .integer(Int64(Partitioning.partition(of: value, count: 5))))
        }
    }

    @Test func `what is sent to names of the moment is remembered up to a bound`() async throws {
        try await Bench.with(inputs: ["f-in-0": InputBinding("x", group: "g")]) { app in
            app.function("f") { (_: Envelope) in }
        } _: { bench in
            for number in 0..<(Outputs.dynamicLimit + 5) { try await bench.app.send("a", to: "d\(number)") }
            let names = bench.app.bindingStates.map(\.name)
            #expect(names.count == Outputs.dynamicLimit + 1)
            #expect(!names.contains("d0"))
            #expect(names.contains("d5"))
            await #expect(throws: BinderError.self) { try await bench.app.send("a", to: "no good name") }
        }
    }

    @Test func `an app that is to end finishes what it has in hand`() async throws {
        let binder = LocalBinder()
        let end = ShutdownSignal()
        let entered = ShutdownSignal()
        let release = ShutdownSignal()
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x", group: "g")
        let app = try FunctionApp(settings: settings, binders: ["": binder])
        let done = Recorded<String>()
        app.function("f") { (text: String) in
            entered.request()
            await release.wait()
            done.add(text)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await app.run { await end.wait() } }
            try await eventually { app.problem == nil }
            _ = try await binder.publish(Envelope(text: "a"), to: Destination("x"))
            await entered.wait()
            end.request()
            try await eventually { app.bindingStates[0].state == .stopped || binder.readiness.isReady }
            release.request()
            try await tasks.next()
        }
        #expect(done.all == ["a"])
        await #expect(throws: FunctionError.self) { try await app.run {} }
    }
}
