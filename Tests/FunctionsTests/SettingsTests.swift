import FoundationEssentials
import Settings
import Streams
import TestSupport
import Testing

@testable import Functions

@Suite struct SettingsTests {
    private func settings(_ yaml: String, environment: [String: String] = [:]) async throws -> FunctionSettings {
        try await withTemporaryFolder { folder in
            try yaml.write(toFile: folder + "/carillon.yaml", atomically: true, encoding: .utf8)
            return try FunctionSettings.file(folder + "/carillon.yaml", environment: environment)
        }
    }

    @Test func `a file says what is bound to what, and the environment outranks it`() async throws {
        let settings = try await settings(
            """
            application: billing
            binder: events
            binders:
              events: "amqp://events"
              main: {uri: "http://carillon:8888", token: t}
            server: {port: 0}
            functions: [charge, "audit|sum"]
            bindings:
              charge-in-0:
                destination: orders, returns
                group: billing
                concurrency: 4
                attempts: 5
                back-off: 100ms
                back-off-max: 2s
                multiplier: 1.5
                on-failure: stop
                dead-letters: false
                prefetch: 7
                content-type: text/csv
                start: earliest
                auto-start: false
              "audit|sum-in-0": {destination: [a, b], batch: {size: 50, wait: 1s}, binder: main}
              parts-in-1: {destination: p, partitioned: true, instance-index: 1, instance-count: 2, partition-count: 5}
              charge-out-0: {destination: receipts, content-type: text/plain, partition-count: 3, partition-key: /id, required-groups: [l, m]}
              bridge: {destination: out, partition-key: region, binder: main}
            """, environment: ["CARILLON_BINDINGS_CHARGE_IN_0_GROUP": "other", "CARILLON_BINDINGS_CHARGE_IN_0_CONCURRENCY": "2"])
        #expect(settings.application == "billing")
        #expect(settings.functions == ["charge", "audit|sum"])
        #expect(settings.serves)
        #expect(try settings.shared.broker(nil)?.uri == "amqp://events")
        #expect(settings.shared.binders["main"] == .init(uri: "http://carillon:8888", token: "t"))
        var charge = InputBinding("orders", "returns", group: "other")
        charge.concurrency = 2
        charge.attempts = 5
        charge.backOff = .milliseconds(100)
        charge.longestBackOff = .seconds(2)
        charge.multiplier = 1.5
        charge.onFailure = .stop
        charge.deadLetters = false
        charge.prefetch = 7
        charge.contentType = "text/csv"
        charge.start = .earliest
        charge.startsByItself = false
        #expect(settings.inputs["charge-in-0"] == charge)
        var sum = InputBinding("a", "b")
        sum.batch = InputBinding.Batch(size: 50, wait: .seconds(1))
        sum.binder = "main"
        #expect(settings.inputs["audit|sum-in-0"] == sum)
        #expect(settings.inputs["parts-in-1"]?.partitions == [1, 3])
        #expect(settings.inputs["parts-in-1"]?.partitionCount == 5)
        var receipts = OutputBinding("receipts")
        receipts.contentType = "text/plain"
        receipts.partitionCount = 3
        receipts.partitionKey = .payload("/id")
        receipts.requiredGroups = ["l", "m"]
        #expect(settings.outputs["charge-out-0"] == receipts)
        #expect(settings.outputs["bridge"]?.partitionKey == .header("region"))
    }

    @Test(arguments: [
        ("bindings: {f-in-0: {destination: x, concurency: 2}}", "did you mean `bindings.f-in-0.concurrency`?"),
        ("bindings: {f-in-0: {group: x}}", "`bindings.f-in-0` needs a `destination`"),
        ("bindings: {f-out-0: {destination: y, group: x}}", "unknown setting `bindings.f-out-0.group`"),
        ("bindings: {f-in-0: {destination: x, on-failure: pray}}", "needs one of dead-letter, drop, retry, stop, not `pray`"),
        ("bindings: {f-in-0: {destination: x, attempts: 0}}", "needs a whole number from 1 to 1000"),
        ("bindings: {f-in-0: {destination: x, multiplier: 0.5}}", "needs a number from 1 to 100"),
        ("bindings: {f-in-0: {destination: x, start: middle}}", "needs latest or earliest"),
        ("bindings: {f-in-0: {destination: x, instance-index: 1}}", "is for inputs with `partitioned: true`"),
        ("bindings: {f-in-0: {destination: x, partitioned: true, instance-index: 3, instance-count: 2}}", "below `instance-count`"),
        ("bindngs: {f-in-0: {destination: x}}", "unknown setting"),
    ])
    func `what cannot be meant is refused with its place and what is needed`(yaml: String, says: String) async throws {
        let error = await #expect(throws: FunctionError.self) { _ = try await settings("\n" + yaml) }
        #expect(error?.code == .settings)
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
        #expect(error?.message.contains("carillon.yaml") == true, "\(String(describing: error))")
    }

    @Test(
        arguments: [
            (
                ["f-in-0": InputBinding("x"), "g-in-0": InputBinding("x")], [:], [],
                "the binding g-in-0 belongs to `g`, which is no function"
            ),
            (["chrage-in-0": InputBinding("x"), "f-in-0": InputBinding("x")], [:], [], "did you mean `charge`?"),
            (["f-in-0": InputBinding("x")], [:], [], "the function charge has no input: bind it with `bindings: {charge-in-0"),
            (["f-in-0": InputBinding("x"), "charge-in-0": InputBinding("x")], [:], [], "charge returns results and has no output"),
            (["f-in-0": InputBinding("x")], ["g-out-0": OutputBinding("y")], ["f"], "the binding g-out-0 belongs to `g`"),
            (["f|many-in-0": InputBinding("x")], [:], ["f|many"], "many takes batches, so it must be the first function of f|many"),
            ([:], [:], ["f", "h"], "`functions` names `h`"),
            (["f-in-0": InputBinding("bad name")], [:], ["f"], "the binding f-in-0: the destination's name holds a blank"),
            (["f-in-0": InputBinding("x", group: "a/b")], [:], ["f"], "the binding f-in-0: the group's name"),
            (["f-0": InputBinding("x")], [:], ["f"], "must be called FUNCTION-in-0"),
            (["only-in-0": InputBinding("x")], [:], ["only"], "has no handler for input 0"),
        ] as [([String: InputBinding], [String: OutputBinding], [String], String)])
    func `functions and bindings that do not fit together are told before anything runs`(
        inputs: [String: InputBinding], outputs: [String: OutputBinding], functions: [String], says: String
    ) throws {
        var settings = FunctionSettings.binder("local:")
        settings.inputs = inputs
        settings.outputs = outputs
        settings.functions = functions
        let app = try FunctionApp(settings: settings)
        app.function("f") { (_: Envelope) in }
        app.function("charge") { (order: Order) async throws -> Receipt? in nil }
        app.function("only", input: 1) { (_: Envelope) in }
        app.batch("many") { (_: [Envelope]) in }
        let error = #expect(throws: FunctionError.self) { _ = try app.group() }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test(
        arguments: [
            (nil, nil, "set `binder:`"), ("mian", nil, "names `mian`, which is none of `binders`; did you mean `main`?"),
            ("main", "man", "did you mean `main`?"), ("ftp://x", nil, "`binder` needs a URI such as"),
        ] as [(String?, String?, String)])
    func `a broker that is not there is told`(standard: String?, named: String?, says: String) {
        var settings = FunctionSettings.binder("")
        settings.shared.binder = standard
        if standard != nil { settings.addBinder("main", "local:") }
        settings.inputs["f-in-0"] = InputBinding("x")
        settings.inputs["f-in-0"]?.binder = named
        let error = #expect(throws: FunctionError.self) { _ = try FunctionApp(settings: settings) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test func `a batch for a function of single events is refused, and a handler that is there twice`() throws {
        var settings = FunctionSettings.binder("local:")
        settings.inputs["f-in-0"] = InputBinding("x")
        settings.inputs["f-in-0"]?.batch = InputBinding.Batch()
        let app = try FunctionApp(settings: settings)
        app.function("f") { (_: Envelope) in }
        #expect(throws: FunctionError.self) { _ = try app.group() }
        let twice = try FunctionApp(settings: settings)
        twice.batch("f") { (_: [Envelope]) in }
        twice.batch("f") { (_: [Envelope]) in }
        #expect(throws: FunctionError.self) { _ = try twice.group() }
    }

    @Test func `functions that are not named are left out, so that one program serves several deployments`() throws {
        var settings = FunctionSettings.binder("local:")
        settings.inputs = ["f-in-0": InputBinding("x"), "g-in-0": InputBinding("x")]
        settings.functions = ["g"]
        let app = try FunctionApp(settings: settings)
        for name in ["f", "g"] { app.function(name) { (_: Envelope) in } }
        let plan = try app.plan()
        #expect(plan.inputs.map(\.name) == ["g-in-0"])
        #expect(plan.idle == ["f-in-0"])
    }
}
