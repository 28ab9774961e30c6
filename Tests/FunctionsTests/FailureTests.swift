import Lifecycle
import LocalBinder
import Locking
import Streams
import Telemetry
import TestSupport
import Testing

@testable import Functions

@Suite struct FailureTests {
    private struct Broken: Error, CustomStringConvertible { let description = "broken" }
    private struct Refused: NonRetryable, CustomStringConvertible { let description = "refused" }

    @Test func `a payload that cannot be decoded is a dead letter without a call, and tells why without its content`() async throws {
        let calls = Recorded<Int>()
        try await Bench.with(inputs: ["f-in-0": InputBinding("x", group: "g")]) { app in
            app.function("f") { (order: Order) in calls.add(order.id) }
        } _: { bench in
            try await bench.publish(#"{"id":"secret","item":"x"}"#, #"{"id":1}"#, "secret", "", #"{"id":1,"item":"good"}"#, to: "x")
            _ = try await bench.binder.publish(
                Envelope(text: #"{"id":1,"item":"x"}"#, contentType: "application/x-www-form-urlencoded"), to: Destination("x"))
            _ = try await bench.binder.publish(Envelope(text: "{}", contentType: "no type"), to: Destination("x"))
            try await eventually { try await bench.deadLetters("x", "g").count == 6 }
            let reasons = try await bench.deadLetters("x", "g").map(\.reason.message)
            #expect(
                reasons == [
                    "the payload is no Order: `id` is no Int", "the payload is no Order: `item` is missing",
                    "the payload is no Order: it is no JSON", "the payload is no Order: it is no JSON",
                    "the content type application/x-www-form-urlencoded is not JSON, and the function takes Order",
                    "the content type `no type` is none",
                ])
            #expect(calls.all == [1])
        }
    }

    @Test func `an error is tried again as often as the binding says, one that cannot help is not`() async throws {
        let calls = Recorded<String>()
        var binding = InputBinding("x", group: "g")
        binding.attempts = 4
        try await Bench.with(inputs: ["f-in-0": binding]) { app in
            app.function("f") { (text: String) in
                calls.add("\(text)\(FunctionContext.current?.attempt ?? 0)")
                if text == "bad" { throw Refused() }
                throw Broken()
            }
        } _: { bench in
            try await bench.publish("bad", "worse", to: "x")
            try await eventually { try await bench.deadLetters("x", "g").count == 2 }
            #expect(calls.all == ["bad1", "worse1", "worse2", "worse3", "worse4"])
            #expect(try await bench.deadLetters("x", "g").map(\.reason.message) == ["refused", "broken"])
        }
    }

    @Test func `an event that the policy drops counts as done and is counted`() async throws {
        let metrics = Metrics()
        var settings = FunctionSettings.binder("local:")
        for (name, policy, keeps) in [("a", FailurePolicy.drop, true), ("b", .deadLetter, false)] {
            var binding = InputBinding("x", group: name)
            binding.attempts = 1
            binding.onFailure = policy
            binding.deadLetters = keeps
            settings.inputs["\(name)-in-0"] = binding
        }
        let binder = LocalBinder()
        let app = try FunctionApp(settings: settings, binders: ["": binder], metrics: metrics)
        for name in ["a", "b"] { app.function(name) { (_: String) in throw Broken() } }
        let end = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await app.run { await end.wait() } }
            defer { end.request() }
            try await eventually { app.problem == nil }
            _ = try await binder.publish(Envelope(text: "a"), to: Destination("x"))
            for group in ["a", "b"] {
                try await eventually {
                    metrics.prometheusText.contains(
                        #"carillon_stream_events_total{destination="x",group="\#(group)",what="dropped"} 1"#)
                }
                #expect(try await binder.backlog(of: Destination("x"), group: ConsumerGroup(group)).total == 0)
                #expect(try await binder.deadLetters(of: Destination("x"), group: ConsumerGroup(group), limit: 1).isEmpty)
            }
        }
    }

    @Test func `an event that the policy retries comes again later, while others are handled`() async throws {
        let seen = Recorded<String>()
        var binding = InputBinding("x", group: "g")
        binding.attempts = 1
        binding.longestBackOff = .milliseconds(300)
        binding.onFailure = .retry
        try await Bench.with(inputs: ["f-in-0": binding]) { app in
            app.function("f") { (text: String) in
                seen.add(text)
                if text == "a", seen.all.count == 1 { throw Broken() }
            }
        } _: { bench in
            try await bench.publish("a", "b", to: "x")
            try await eventually { seen.all == ["a", "b", "a"] }
            try await eventually { try await bench.backlog("x", "g").total == 0 }
        }
    }

    @Test func `a failure that stops the binding leaves its event and those behind it where they are`() async throws {
        var binding = InputBinding("x", group: "g")
        binding.attempts = 1
        binding.onFailure = .stop
        try await Bench.with(inputs: ["f-in-0": binding]) { app in
            app.function("f") { (text: String) in throw Broken() }
        } _: { bench in
            try await bench.publish("a", "b", to: "x")
            try await eventually { bench.app.bindingStates[0].state == .stopped }
            #expect(bench.app.bindingStates[0].problem == "stopped by a failure: broken")
            #expect(bench.app.problem == "f-in-0: stopped by a failure: broken")
            try await eventually { try await bench.backlog("x", "g").ready == 2 }
        }
    }

    @Test func `while the output's broker is away a result waits, its event is not done, and the handler is not called again`() async throws
    {
        let calls = Recorded<String>()
        let away = MemoryBinder()
        away.fail(with: BinderError(.unreachable, "no broker"))
        let binder = LocalBinder()
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x", group: "g")
        settings.outputs["f-out-0"] = OutputBinding("y")
        settings.outputs["f-out-0"]?.binder = "far"
        let metrics = Metrics()
        let app = try FunctionApp(settings: settings, binders: ["": binder, "far": away], metrics: metrics)
        app.function("f") { (text: String) async throws -> String? in
            calls.add(text)
            return text
        }
        let end = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await app.run { await end.wait() } }
            defer { end.request() }
            try await eventually { app.problem == nil }
            _ = try await binder.publish(Envelope(text: "a"), to: Destination("x"))
            try await eventually { metrics.prometheusText.contains("carillon_function_waits_total") }
            #expect(try await binder.backlog(of: Destination("x"), group: ConsumerGroup("g")).inHand == 1)
            away.fail(with: nil)
            try await eventually { away.published.count == 1 }
            try await eventually { try await binder.backlog(of: Destination("x"), group: ConsumerGroup("g")).total == 0 }
            #expect(calls.all == ["a"])
        }
    }

    @Test func `an app that ends while a result waits gives its event back`() async throws {
        let away = MemoryBinder()
        away.fail(with: BinderError(.unreachable, "no broker"))
        let binder = LocalBinder()
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x", group: "g")
        settings.outputs["f-out-0"] = OutputBinding("y")
        settings.outputs["f-out-0"]?.binder = "far"
        let metrics = Metrics()
        let app = try FunctionApp(settings: settings, binders: ["": binder, "far": away], metrics: metrics)
        app.function("f") { (text: String) async throws -> String? in text }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            let end = ShutdownSignal()
            tasks.addTask { try await app.run { await end.wait() } }
            defer { end.request() }
            try await eventually { app.problem == nil }
            _ = try await binder.publish(Envelope(text: "a"), to: Destination("x"))
            try await eventually { metrics.prometheusText.contains("carillon_function_waits_total") }
            try await app.stop("f-in-0")
            try await eventually { try await binder.backlog(of: Destination("x"), group: ConsumerGroup("g")).ready == 1 }
        }
    }

    @Test func `a result that no broker would take is a dead letter`() async throws {
        let away = MemoryBinder()
        away.fail(with: BinderError(.tooLarge, "too long"))
        let binder = LocalBinder()
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x", group: "g")
        settings.outputs["f-out-0"] = OutputBinding("y")
        settings.outputs["f-out-0"]?.binder = "far"
        let app = try FunctionApp(settings: settings, binders: ["": binder, "far": away])
        app.function("f") { (text: String) async throws -> String? in text }
        let end = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await app.run { await end.wait() } }
            defer { end.request() }
            try await eventually { app.problem == nil }
            _ = try await binder.publish(Envelope(text: "a"), to: Destination("x"))
            try await eventually { try await binder.deadLetters(of: Destination("x"), group: ConsumerGroup("g"), limit: 1).count == 1 }
        }
    }
}
