import Binders
package import Bus
public import ConfigClient
import Lifecycle
package import Streams
package import Telemetry

/// Configuration that changes the moment its server tells of it: a client of the configuration server on the message bus.
///
/// ```swift
/// let client = try ConfigClient(ConfigClientSettings(servers: ["http://config:8888"], application: "orders"))
/// try await client.start()
/// let refresh = try ConfigRefresh(client, broker: "amqp://guest:guest@localhost:5672")
/// try await refresh.run()  // until the task is cancelled
/// ```
/// Each refresh that concerns the application makes the client ask its server for at least the version that the event names, and is answered
/// with a receipt that `carillon status` shows. A broker that is away is waited for; meanwhile the client asks every `pollInterval`.
public final class ConfigRefresh: Sendable {
    private let services: [any Service]
    private let bus: EventBus

    /// `broker` is a URI as in Carillon's settings, `bus` the bus's destination, `index` and `instance` the last parts of this instance's bus id
    /// (random where `instance` is nil). Throws `ConfigError.invalid` for what cannot be used.
    public init(
        _ client: ConfigClient, broker: String, bus destination: String = "springCloudBus", index: String = "0", instance: String? = nil
    ) throws(ConfigError) {
        do {
            let binder = try BinderURI(broker).binder(name: client.settings.application, log: .silent)
            let bus = try EventBus(keeping: client, over: binder, destination: destination, index: index, instance: instance)
            self.bus = bus
            services = [binder, bus, ConfigRefreshService(client, bus: bus)]
        } catch {
            throw ConfigError(.invalid, "the bus cannot be joined: \((error as? BinderError)?.message ?? "\(error)")")
        }
    }

    /// Nil when no refresh is missed from now on; else why not.
    public var problem: String? { if case .waiting(let reason) = bus.readiness { reason } else { nil } }

    /// Runs until the task is cancelled. Throws what ends it sooner.
    public func run() async throws { try await ServiceGroup(name: "config-refresh", services).run(ServiceLife()) }
}

extension EventBus {
    /// A bus on which an instance has the id, and hears of the names, that its configuration has.
    package convenience init(
        keeping client: ConfigClient, over binder: any Binder, destination: String = "springCloudBus", index: String = "0",
        instance: String? = nil, log: Log = .silent, metrics: Metrics? = nil
    ) throws(BinderError) {
        let names = client.settings.application.split(separator: ",").map(String.init)
        var configuration = Configuration()
        configuration.destination = try Destination(destination)
        configuration.configurationNames = names
        self.init(
            id: try BusID(
                application: names.first ?? "application", profiles: client.settings.profiles.filter { $0 != "default" }, index: index,
                instance: instance ?? BusID.randomInstance()),
            binder: binder, configuration: configuration, log: log, metrics: metrics)
    }
}
