import Bus
import Channels
import HTTPBinder
import KafkaBinder
import Lifecycle
import LocalBinder
import Locking
import RabbitMQBinder
import RedisBinder
import Streams
import Telemetry
import TestSupport

/// The brokers that the bus is tried over.
enum BrokerKind: String, CaseIterable, Sendable {
    case local
    /// The embedded broker of another process, by its event channels.
    case http
    case rabbitmq
    case kafka
    case redis

    /// Those that are installed here; the others are named in the output.
    static let available = allCases.filter { kind in
        let missing: String? =
            switch kind {
            case .local, .http: nil
            case .rabbitmq: RabbitMQServer.isInstalled ? nil : RabbitMQServer.whyNot
            case .kafka: KafkaServer.isAvailable ? nil : KafkaServer.whyNot
            case .redis: RedisServer.isInstalled ? nil : RedisServer.whyNot
            }
        if let missing { print("the bus is not tried over \(kind): \(missing)") }
        return missing == nil
    }
}

/// Brokers, instances and bridges of one test. All of them run until it ends, or until they are stopped.
final class BusWorld: Sendable {
    /// A broker that anybody can connect to.
    struct Broker: Sendable {
        let name: String
        /// A binder of one's own, running, as a process of its own has it.
        let connect: @Sendable () throws -> any Binder
    }

    /// One instance on the bus, and what it was told.
    struct Instance: Sendable {
        let bus: EventBus
        /// Ids of the refreshes that it has applied.
        let applied: Collected<String>
        let gaps: Collected<Bool>
        /// Returns when it has left.
        let stop: @Sendable () async throws -> Void
    }

    /// Unique, since brokers are shared.
    let destination: Destination
    private let endings = Locked<[@Sendable () async throws -> Void]>([])

    private init() throws { destination = try Destination("bus-\(Identifier.random())") }

    static func with<R: Sendable>(_ body: (BusWorld) async throws -> R) async throws -> R {
        let world = try BusWorld()
        let result: Result<R, any Error>
        do { result = .success(try await body(world)) } catch { result = .failure(error) }
        for ending in world.endings.withLock({ $0 }).reversed() { try await ending() }
        return try result.get()
    }

    /// Starts a service, and returns what stops it.
    @discardableResult
    func start(_ service: any Service) -> @Sendable () async throws -> Void {
        let shutdown = ShutdownSignal()
        let task = Task { try await service.run(ServiceLife(shutdown: shutdown)) }
        let stop = { @Sendable in
            shutdown.request()
            try await task.value
        }
        endings.withLock { $0.append(stop) }
        return stop
    }

    func broker(_ kind: BrokerKind, name: String? = nil) async throws -> Broker {
        let name = name ?? kind.rawValue
        switch kind {
        case .local:
            let binder = LocalBinder()
            start(binder)
            return Broker(name: name) { binder }
        case .http:
            let binder = LocalBinder()
            let channels = Channels(binder: binder)
            start(ServiceGroup([binder, channels]))
            let server = try await TestHTTPServer.start(channels.router)
            endings.withLock { $0.append { try await server.stop() } }
            return Broker(name: name) { [self] in
                let binder = HTTPBinder(configuration: HTTPBinderConfiguration(url: server.url))
                start(binder)
                return binder
            }
        case .rabbitmq: return broker(try await RabbitMQServer.shared(), name: name)
        case .kafka:
            let server = try await KafkaServer.shared()
            return Broker(name: name) { [self] in
                let binder = KafkaBinder(configuration: try KafkaConfiguration(uri: "kafka://\(server.bootstrap)"))
                start(binder)
                return binder
            }
        case .redis:
            let server = try await RedisServer.shared()
            return Broker(name: name) { [self] in
                let binder = RedisBinder(configuration: try RedisConfiguration(uri: server.uri))
                start(binder)
                return binder
            }
        }
    }

    func broker(_ server: RabbitMQServer, name: String = "rabbitmq") -> Broker {
        Broker(name: name) { [self] in
            let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: server.uri))
            start(binder)
            return binder
        }
    }

    /// An instance that takes every refresh over.
    func instance(_ id: String, on broker: Broker, configure: (EventBus) -> Void = { _ in }) throws -> Instance {
        var configuration = EventBus.Configuration()
        configuration.destination = destination
        configuration.reportInterval = nil
        let bus = EventBus(id: try BusID(id), binder: try broker.connect(), configuration: configuration)
        let (applied, gaps) = (Collected<String>(), Collected<Bool>())
        bus.handle(.refresh) { message in
            applied.add(message.event.id)
            return EventBus.Handled(.applied, running: message.details.version.map { RunningConfiguration(version: $0) })
        }
        bus.handleGap { gaps.add(true) }
        configure(bus)
        return Instance(bus: bus, applied: applied, gaps: gaps, stop: start(bus))
    }

    /// A bridge between brokers, ready to carry.
    func bridge(
        _ brokers: [Broker], name: String = BusBridge.defaultName, metrics: Metrics = Metrics()
    ) throws -> (bridge: BusBridge, stop: @Sendable () async throws -> Void) {
        let sides = try brokers.map { BusBridge.Side($0.name, try $0.connect(), destination: destination) }
        let bridge = try BusBridge(name: name, sides, metrics: metrics)
        return (bridge, start(bridge))
    }

    /// Every message on the bus of a broker, from now on.
    func listen(on broker: Broker) async throws -> Collected<Envelope> {
        let seen = Collected<Envelope>()
        try await consume(on: broker) { seen.add($0.envelope) }
        return seen
    }

    /// Hands every message on the bus of a broker to `handler`, from now on.
    func consume(on broker: Broker, _ handler: @escaping Consumer.Handler) async throws {
        let ready = ShutdownSignal()
        start(
            Listener(consumer: Consumer(destination: destination, group: nil, handler: handler), binder: try broker.connect(), ready: ready)
        )
        await ready.wait()
    }

    private struct Listener: Service {
        let name = "listener"
        let consumer: Consumer
        let binder: any Binder
        let ready: ShutdownSignal
        func run(_ life: ServiceLife) async throws {
            let gate = FetchGate()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await consumer.run(over: binder, gate: gate) { ready.request() } }
                await life.untilShutdown()
                gate.close()
                try await tasks.waitForAll()
            }
        }
    }
}

extension BusWorld.Instance {
    /// Publishes a refresh and returns its id once each of `others` that it is for has applied it.
    func refresh(
        _ destination: String? = nil, version: String? = nil, heardBy others: [BusWorld.Instance]
    ) async throws -> String {
        let id = try await bus.refresh(destination, details: RefreshDetails(version: version))
        let pattern = DestinationPattern.normalised(destination)
        for other in others where other.bus.isAddressed(by: pattern) {
            try await eventually(within: .seconds(60), "\(other.bus.id) applies the refresh") {
                other.applied.all.contains(id)
            }
        }
        return id
    }
}
