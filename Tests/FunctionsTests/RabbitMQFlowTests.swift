import Lifecycle
import RabbitMQBinder
import Streams
import TestSupport
import Testing

@testable import Functions

@Suite(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"), .timeLimit(.minutes(4)))
struct RabbitMQFlowTests {
    /// Runs the app while `body` runs.
    private func running(_ app: FunctionApp, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let end = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await app.run { await end.wait() } }
            defer { end.request() }
            try await body()
            end.request()
            try await tasks.next()
        }
    }

    @Test func `orders become receipts, poison becomes a dead letter, and both queues are empty afterwards`() async throws {
        let server = try await RabbitMQServer.shared()
        let suffix = Identifier.random().prefix(8)
        var settings = FunctionSettings.binder(server.uri)
        var charge = InputBinding("orders-\(suffix)", group: "billing")
        charge.concurrency = 4
        charge.attempts = 2
        charge.backOff = .milliseconds(10)
        var book = InputBinding("receipts-\(suffix)", group: "ledger")
        book.batch = InputBinding.Batch(size: 10, wait: .milliseconds(100))
        settings.inputs = ["charge-in-0": charge, "book-in-0": book]
        settings.outputs["charge-out-0"] = OutputBinding("receipts-\(suffix)")
        let booked = Recorded<Int>()
        let app = try FunctionApp(settings: settings)
        app.function("charge") { (order: Order) async throws -> Receipt? in
            if order.item == "poison" { throw PermanentFailure("no") }
            return Receipt(order: order.id)
        }
        app.batch("book") { (receipts: [Receipt]) in for receipt in receipts { booked.add(receipt.order) } }
        try await running(app) {
            try await eventually { app.problem == nil }
            for id in 0..<50 {
                try await app.send(Order(id: id, item: id == 7 ? "poison" : "bell"), to: "orders-\(suffix)", key: "k\(id % 5)")
            }
            try await eventually { booked.all.count == 49 }
            #expect(Set(booked.all) == Set(0..<50).subtracting([7]))
            try await eventually {
                let queues = try await server.control("list_queues", "name", "messages", "--silent")
                return queues.contains("orders-\(suffix).billing\t0") && queues.contains("receipts-\(suffix).ledger\t0")
                    && queues.contains("orders-\(suffix).billing.dlq\t1")
            }
        }
    }

    @Test func `each partition of a destination is read by the input that names it`() async throws {
        let server = try await RabbitMQServer.shared()
        let name = "parts-\(Identifier.random().prefix(8))"
        var settings = FunctionSettings.binder(server.uri)
        for (index, partitions) in [[0], [1, 2]].enumerated() {
            var binding = InputBinding(name, group: "g")
            binding.partitions = partitions
            settings.inputs["f-in-\(index)"] = binding
        }
        settings.outputs["parts"] = OutputBinding(name)
        settings.outputs["parts"]?.partitionCount = 3
        let seen = Recorded<String>()
        let app = try FunctionApp(settings: settings)
        app.function("f") { (key: String) in seen.add("\(FunctionContext.current?.binding ?? "") \(key)") }
        try await running(app) {
            try await eventually { app.problem == nil }
            let keys = (0..<30).map { "key\($0)" }
            for key in keys { try await app.send(key, to: "parts", key: key) }
            try await eventually { seen.all.count == keys.count }
            let expected = keys.map { "f-in-\(Partitioning.partition(of: $0, count: 3) == 0 ? 0 : 1) \($0)" }
            #expect(Set(seen.all) == Set(expected))
        }
    }

    @Test func `an app that starts before its broker is bound when the broker comes`() async throws {
        try await RabbitMQServer.with { server in
            try await server.stop()
            var settings = FunctionSettings.binder(server.uri)
            settings.inputs["f-in-0"] = InputBinding("x", group: "g")
            settings.outputs["f-out-0"] = OutputBinding("y")
            settings.outputs["f-out-0"]?.requiredGroups = ["later"]
            let app = try FunctionApp(settings: settings)
            app.function("f") { (text: String) async throws -> String? in text }
            try await running(app) {
                try await eventually { app.bindingStates.contains { $0.problem != nil } }
                try await server.start()
                try await eventually { app.problem == nil }
                try await app.send("a", to: "x")
                try await eventually {
                    try await server.control("list_queues", "name", "messages", "--silent").contains("y.later\t1")
                }
            }
        }
    }
}
