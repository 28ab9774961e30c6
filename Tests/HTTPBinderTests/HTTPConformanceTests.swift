import Channels
import HTTP
import HTTPBinder
import HTTPClient
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(8))) struct HTTPConformanceTests {
    @Test func `a binder over HTTP passes every case`() async throws {
        try await withTemporaryFolder { folder in
            // Few enough events that a group can be filled up.
            let server = GuardedServer(folder: folder, limits: LocalLimits(backlogEvents: 6000))
            try await server.start()
            let bounded = GuardedServer(folder: folder + "/bounded", limits: LocalLimits(backlogEvents: 10))
            try await bounded.start()
            let configuration = await server.configuration()
            let boundedConfiguration = await bounded.configuration()
            let binder = HTTPBinder(configuration: configuration)
            let peer = HTTPBinder(configuration: configuration)
            let bench = Self.bench(server, configuration, boundedConfiguration, binder, peer)
            let report = try await BinderBench.withService(ServiceGroup([binder, peer])) {
                try await eventually(within: .seconds(30), "readiness") { binder.readiness.isReady && peer.readiness.isReady }
                return await ConformanceRun().report(of: "http", capabilities: binder.capabilities) { _ in bench() }
            }
            try await server.end()
            try await bounded.end()
            print(report.line)
            for failure in report.failures { Issue.record("\(failure.summary)") }
            #expect(report.results.count == BinderCases.all.count)
        }
    }

    private static func bench(
        _ server: GuardedServer, _ configuration: HTTPBinderConfiguration, _ bounded: HTTPBinderConfiguration, _ binder: HTTPBinder,
        _ peer: HTTPBinder
    ) -> @Sendable () -> BinderBench {
        @Sendable func proxied(token: String) async throws -> ProxiedBinder {
            let proxy = try FaultProxy()
            var configuration = configuration
            configuration.url = "http://127.0.0.1:\(try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: server.port)))"
            configuration.token = { token }
            return ProxiedBinder(binder: HTTPBinder(configuration: configuration), proxy: proxy)
        }
        var variants = BinderVariants()
        variants.proxied = { try await proxied(token: GuardedServer.token) }
        variants.refused = { try await proxied(token: BinderVariants.wrongPassword) }
        variants.bounded = { _, _, _ in HTTPBinder(configuration: bounded) }
        var control = BrokerControl()
        control.restart = {
            try await server.end()
            try await server.start()
        }
        control.block = { destination in
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<100 {
                    tasks.addTask { while (try? await binder.publish(Envelope(text: "more"), to: destination)) != nil {} }
                }
            }
        }
        control.unblock = { _ in }  // a consumer has made room
        let tools = (variants, control)
        return {
            BinderBench(
                binder: binder, peer: peer, oversized: 2 << 20, variants: tools.0, control: tools.1,
                fresh: { HTTPBinder(configuration: configuration) })
        }
    }
}

/// A server with the embedded broker in a folder, which asks for a token and can be started again on its port.
private actor GuardedServer {
    static let token = "secret"
    private let folder: String
    private let limits: LocalLimits
    private var stop: (@Sendable () async throws -> Void)?
    let port = freePort()

    init(folder: String, limits: LocalLimits) {
        self.folder = folder
        self.limits = limits
    }

    func start() async throws {
        let binder = LocalBinder(storage: .folder(folder), limits: limits)
        let channels = Channels(binder: binder, settings: ChannelSettings(bodyBytes: 2 << 20, keepAlive: .seconds(1)))
        var router = channels.router
        router.add { request, next in
            guard request.headers["Authorization"] == "Bearer \(Self.token)" else {
                return HTTPResponse(401, text: "{\"error\":\"refused\",\"message\":\"send a token\"}", type: "application/json")
            }
            return await next(request)
        }
        let group = ServiceGroup([binder, channels])
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        let running = Task { try await group.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let server = try await TestHTTPServer.start(router, port: port)
        stop = {
            try await server.stop()
            shutdown.request()
            try await running.value
        }
    }

    func end() async throws {
        try await stop?()
        stop = nil
    }

    /// Impatient: a silent server is noticed after 3 s, a publish ends after 5, a lease after 2.
    func configuration() -> HTTPBinderConfiguration {
        var configuration = HTTPBinderConfiguration(
            url: "http://127.0.0.1:\(port)", token: { Self.token }, publishLimit: .seconds(5), lease: .seconds(2), wait: .seconds(2),
            firstPause: .milliseconds(20), longestPause: .milliseconds(300))
        configuration.client.idleLimit = .seconds(3)
        configuration.client.connectLimit = .seconds(2)
        return configuration
    }
}
