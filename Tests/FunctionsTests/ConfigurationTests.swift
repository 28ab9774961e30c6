import Bus
import ConfigClient
import ConfigRefresh
import Lifecycle
import LocalBinder
import RabbitMQBinder
import Streams
import TestSupport
import Testing

@testable import Functions

@Suite struct ConfigurationTests {
    @Test func `a refresh over the app's broker makes its client ask the server, and is answered with a receipt`() async throws {
        let server = CannedConfiguration(["price": "1"], version: "v1")
        try await TestHTTPServer.with(server) { http in
            var clientSettings = ConfigClientSettings(servers: [http.url], application: "shop")
            clientSettings.pollInterval = .zero
            clientSettings.spread = .zero
            let client = try ConfigClient(clientSettings)
            var settings = FunctionSettings.binder("local:")
            settings.inputs["f-in-0"] = InputBinding("x", group: "g")
            let peer = Recorded<Bus.Receipt.Outcome>()
            try await Bench.with(settings) { app in
                app.function("f") { (_: Envelope) in }
                #expect(throws: Never.self) { try app.keepCurrent(client) }
            } _: { bench in
                #expect(throws: FunctionError.self) { try bench.app.keepCurrent(client) }
                try await eventually { client.snapshot != nil }
                #expect(try client.int("price") == 1)
                let operators = EventBus(id: try BusID("operator:1:a"), binder: bench.binder)
                operators.observe { if case .received(let message, _) = $0, let receipt = message.receipt { peer.add(receipt.outcome) } }
                let end = ShutdownSignal()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await operators.run(ServiceLife(shutdown: end)) }
                    defer { end.request() }
                    // The second request is the one that compares once the bus is connected.
                    try await eventually { operators.readiness.isReady && server.requests.count >= 2 }
                    #expect(bench.app.bindingStates.map(\.name).contains("springCloudBusInput"))
                    server.set(["price": "2"], version: "v2")
                    _ = try await operators.refresh("shop", details: RefreshDetails(version: "v2"))
                    try await eventually { try client.int("price") == 2 }
                    try await eventually { peer.all.contains(.applied) }
                    _ = try await operators.refresh("another", details: RefreshDetails(version: "v3"))
                    _ = try await operators.refresh("shop", details: RefreshDetails(version: "v2"))
                    try await eventually { peer.all.contains(.unchanged) }
                    #expect(client.snapshot?.version == "v2")
                }
            }
        }
    }

    @Test(.enabled(if: RabbitMQServer.isInstalled, "\(RabbitMQServer.whyNot)"))
    func `a client without functions is kept current over a broker of its own`() async throws {
        let broker = try await RabbitMQServer.shared()
        let server = CannedConfiguration(["price": "1"], version: "v1")
        try await TestHTTPServer.with(server) { http in
            var settings = ConfigClientSettings(servers: [http.url], application: "store")
            settings.pollInterval = .zero
            settings.spread = .zero
            let client = try ConfigClient(settings)
            let bus = "bus-\(Identifier.random().prefix(8))"
            let refresh = try ConfigRefresh(client, broker: broker.uri, bus: bus)
            let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: broker.uri))
            var configuration = EventBus.Configuration()
            configuration.destination = try Destination(bus)
            let operators = EventBus(id: try BusID("operator:1:a"), binder: binder, configuration: configuration)
            let receipts = Recorded<Bus.Receipt>()
            operators.observe { if case .received(let message, _) = $0, let receipt = message.receipt { receipts.add(receipt) } }
            let end = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await refresh.run() }
                for service in [binder, operators] as [any Service] { tasks.addTask { try await service.run(ServiceLife(shutdown: end)) } }
                defer { end.request() }
                try await eventually {
                    // The second request is the one that compares once the bus is connected.
                    operators.readiness.isReady && server.requests.count >= 2 && refresh.problem == nil
                }
                server.set(["price": "2"], version: "v2")
                _ = try await operators.refresh("store", details: RefreshDetails(version: "v2"))
                try await eventually { receipts.all.contains { $0.outcome == .applied && $0.running.version == "v2" } }
                #expect(try client.int("price") == 2)
                tasks.cancelAll()
            }
        }
        #expect(throws: ConfigError.self) {
            try ConfigRefresh(ConfigClient(ConfigClientSettings(application: "a")), broker: "ftp://x")
        }
    }
}
