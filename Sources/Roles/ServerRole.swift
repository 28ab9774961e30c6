package import Bus
import BusEndpoints
import Channels
import ConfigRepositories
import ConfigServer
import Convergence
package import HTTP
import HTTPServer
import Identity
package import Lifecycle
import Operations
import ScalingControl
package import Settings
package import Streams
package import Telemetry

/// `carillon serve`: configuration, bus, event channels and convergence in one process.
package struct ServerRole: Service {
    package let name = "server"
    /// All routes, as a value that is tested without a port.
    package let router: Router
    private let server: HTTPServer
    private let services: [any Service]
    private let address: String
    private let log: Log
    /// How long all parts together may take to end.
    private let shutdownLimit: Duration

    /// How long it may take to end.
    package var endLimit: Duration { shutdownLimit + .seconds(5) }

    /// The port that it listens on, once it runs.
    package var port: Int { server.port }

    /// Composes the server. `binder` is the broker of the bus, `channelBinder` that of event channels where it is another; `bridgeSides` are buses
    /// to be joined, that of `binder` first, or none; `data` is the folder for what must survive.
    package init(
        _ settings: CarillonSettings, repositories: RepositorySetup, binder: any Binder, channelBinder: (any Binder)? = nil,
        bridgeSides: [BusBridge.Side] = [], data: String, log: Log, metrics: Metrics
    ) throws {
        try self.init(
            settings, repositories: repositories, binder: binder, channelBinder: channelBinder, bridgeSides: bridgeSides, scaling: nil,
            id: try Self.busID(settings), data: data, log: log, metrics: metrics)
    }

    /// The bus id that the settings ask for; otherwise another one at each call.
    static func busID(_ settings: CarillonSettings) throws(BinderError) -> BusID {
        if let id = settings.bus.id { return try BusID(id) }
        return try BusID(application: settings.bus.application, index: String(settings.server.port))
    }

    init(
        _ settings: CarillonSettings, repositories: RepositorySetup, binder: any Binder, channelBinder: (any Binder)?,
        bridgeSides: [BusBridge.Side], scaling: ScalingRole?, id: BusID, data: String, log: Log, metrics: Metrics
    ) throws {
        self.log = log
        address = settings.server.address
        let access = settings.access
        if access.leavesDoorsOpen { log.warning("anybody on the network may change something here: `security: open`") }

        var configuration = EventBus.Configuration()
        configuration.destination = try Destination(settings.bus.destination)
        configuration.acknowledges = settings.bus.acknowledges
        let bus = EventBus(
            id: id, binder: binder, configuration: configuration, log: log.of("bus"), metrics: metrics)
        let convergence = FleetConvergence()
        convergence.watch(bus)
        let trace = BusTrace()
        trace.watch(bus)
        let bindings = Bindings(log: log.of("bindings"))
        bindings.show { bus.bindings }

        let configRoutes = ConfigRoutes(
            repositories.repository,
            settings: ConfigRoutes.Settings(prefix: settings.server.prefix, acceptsEmpty: settings.server.acceptsEmpty),
            changing: repositories.changing)
        let audiences = AudienceMemory(path: data + "/audiences.json", log: log.of("changes")) {
            Array(Set(configRoutes.audiences).union(convergence.audiences))
        }
        let publisher = ChangePublisher(bus: bus, audiences: { audiences.audiences }, log: log.of("changes"), metrics: metrics)
        // Where hooks tell those that they guess, as the original's do, a change is not told a second time.
        let publishes = !settings.monitor.guesses
        let served = scaling.map { scaling in
            ServedParameters(
                scaling.engine.parameterNames, of: settings.bus.application, in: repositories.repository, log: log.of("scaling")
            ) { [engine = scaling.engine] in engine.serve(parameters: $0) }
        }
        for repository in repositories.changing {
            repository.onChange {
                publisher.take($0, publishes: publishes)
                served?.lookAgain()
            }
        }

        // Another server tells of a commit that this one may not have seen yet.
        let changing = repositories.changing
        bus.handle(.refresh) { [id = bus.id.text] message in
            if message.event.origin != id { await Self.look(changing, log) }
            return EventBus.Handled(.none)
        }

        let channels = Channels(
            binder: channelBinder ?? binder, settings: settings.channelSettings(data: data), log: log.of("channels"), metrics: metrics)

        var checks: [OperationsRoutes.Check] = [
            .init("binder") { binder.readiness.problem },
            .init("bus") { bus.readiness.problem },
        ]
        if let channelBinder { checks.append(.init("channels") { channelBinder.readiness.problem }) }
        var bridge: BusBridge?
        if !bridgeSides.isEmpty {
            let joined = try BusBridge(
                name: settings.bus.bridgeName ?? BusBridge.defaultName, bridgeSides, log: log.of("bridge"), metrics: metrics)
            checks.append(.init("bridge") { joined.readiness.problem })
            bridge = joined
        }
        if let scaling {
            checks.append(.init("scaling") { scaling.engine.problem })
            bus.handle(.environmentChange) { message in
                guard case .environmentChange(let values) = message.event.kind else { return EventBus.Handled(.none) }
                let taken = values.filter { scaling.engine.tell(parameter: $0.name, $0.value) }
                return EventBus.Handled(taken.isEmpty ? .none : .applied)
            }
        }
        let operations = OperationsRoutes(checks: checks, metrics: metrics)
        var router = Router()
        router.add(middleware: access.middleware)
        operations.add(to: &router)
        router.add(
            BusRoutes(
                bus: bus, knownIDs: { convergence.knownIDs },
                details: { _ in
                    // Instances that are told to read again must find what is newest.
                    await Self.look(changing, log)
                    return RefreshDetails()
                }
            ).router)
        router.add(trace.router)
        router.add(BindingRoutes(bindings).router)
        router.add(ConvergenceRoutes(convergence).router)
        router.add(channels.router)
        if let scaling { router.add(scaling.router) }
        MonitorRoutes(
            MonitorRoutes.Settings(
                mode: settings.monitor.guesses ? .guessing : .effective, secret: settings.monitor.secret,
                branches: settings.monitor.branches,
                prefix: settings.server.prefix),
            isTrusted: { access.hasToken($0, may: .refresh) }, refresh: { for repository in changing { try await repository.refresh() } },
            publish: { services in for service in services { _ = try await bus.refresh(service) } }, log: log.of("monitor")
        ).install(in: &router)
        configRoutes.install(in: &router)
        self.router = router

        server = HTTPServer(
            configuration: try settings.httpServer(), handler: settings.user == nil ? router : Uncached(router: router),
            log: log.of("http"), metrics: metrics)
        var services: [any Service] = [binder]
        if let channelBinder { services.append(channelBinder) }
        for side in bridgeSides.dropFirst() { services.append(side.binder) }
        services.append(bus)
        if let bridge { services.append(bridge) }
        services += [audiences, publisher, channels]
        services += repositories.changing
        if let served { services.append(served) }
        services.append(server)
        // Behind the server, so that they end before it does: workers that end what they have in hand talk to it until then.
        if let scaling { services += scaling.connections + scaling.workers + [scaling.engine] }
        self.services = services
        shutdownLimit = .seconds(30) + (scaling?.longestDrain ?? .zero)
    }

    /// Looks for changes now; a source that is away keeps nobody from going on with what is served.
    private static func look(_ repositories: [any ChangingRepository], _ log: Log) async {
        for repository in repositories {
            do { try await repository.refresh() } catch { log.warning("a repository cannot be looked at", ["reason": error.message]) }
        }
    }

    package func run(_ life: ServiceLife) async throws {
        let group = ServiceGroup(name: name, services, shutdownLimit: shutdownLimit, log: log)
        try await group.run(
            ServiceLife(shutdown: life.shutdown) {
                log.info("serving", ["address": address, "port": String(port)])
                life.started()
            })
    }
}

/// A router whose answers at hand are not given out before its middleware has seen the request: where a user stands before everything.
private struct Uncached: HTTPHandler {
    let router: Router
    func endsWithClient(_ request: HTTPRequest) -> Bool { router.endsWithClient(request) }
    func respond(to request: HTTPRequest) async -> HTTPResponse { await router.respond(to: request) }
}
