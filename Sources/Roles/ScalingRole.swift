import Autoscaler
import BacklogSources
import Foundation
import HTTP
import Lifecycle
import Locking
import Orchestrators
import ScalerRPC
import ScalingControl
import ScalingFormats
import Settings
import Streams
import Telemetry

/// The live scaling of a server: sources, orchestrators, and the engine between them, made of the section `scaling:`.
struct ScalingRole: Sendable {
    /// Where scaling meets the rest of the server.
    struct Surroundings {
        /// The bus' broker: signals go there, and servers that share it agree on one leader.
        var binder: any Binder
        /// The broker that conditions without a source mean, and its URI.
        var channels: any Binder
        var channelsURI: String
        /// Names this server among those that share the broker.
        var server: String
        /// Under which workers on this machine reach this server.
        var url: String
        var data: String
        var environment: [String: String]
        var log: Log
        var metrics: Metrics
    }

    let engine: ScalingEngine
    let router: Router
    /// What has to run before the engine and while it runs, in this order: connections to sources, KEDA's port.
    let connections: [any Service]
    /// Local workers: they talk to this server until they have ended.
    let workers: [any Service]
    /// The longest that local workers have to end what they have in hand.
    let longestDrain: Duration

    init(_ section: ScalingSection, _ around: Surroundings) throws {
        let log = around.log.of("scaling")
        let sources = try BacklogSources(
            section.entries, embedded: around.channels, uri: around.channelsURI, log: log)
        let places = sources.askedPlaces
        var numbers: [QueueKey: PlannedPolicy.QueueNumber] = [:]
        for (place, asked) in places.enumerated() {
            for (queue, key) in asked.keys.enumerated() { numbers[key] = PlannedPolicy.QueueNumber(source: place, queue: queue) }
        }

        let hook = DrainHook()
        let factory = TargetFactory(
            data: around.data, server: around.url, environment: around.environment, log: log,
            drain: { policy, instances, limit in await hook.drain(policy, instances, limit) })
        var plans: [PlannedPolicy] = []
        var workers: [any Service] = []
        var longestDrain = Duration.zero
        var local: Set<String> = []
        for entry in section.entries {
            let policy = entry.policy
            var target: (any ScalingTarget)?
            if let settings = entry.target {
                do throws(TargetError) {
                    let built = try factory.make(policy, settings)
                    target = built.target
                    if let service = built.service { workers.append(service) }
                } catch { throw SettingsError(message: "scaling.policies.\(policy.name).target: \(error.message)") }
                if case .local(_, _, let drain) = settings {
                    longestDrain = max(longestDrain, drain)
                    local.insert(policy.name)
                }
            }
            let queues = policy.queues.indices.compactMap { numbers[QueueKey(policy: policy.name, index: $0)] }
            plans.append(PlannedPolicy(policy, queues: queues, target: target, shadow: entry.shadow))
        }
        // Workers of policies that are gone.
        workers += factory.leftovers(besides: local)

        var configuration = ScalingEngine.Configuration()
        configuration.poll = section.poll
        configuration.keep = section.keep
        configuration.parameters = section.parameters
        configuration.server = around.server
        configuration.isShared = around.binder.capabilities.contains(.remote)
        let engine = ScalingEngine(
            plans, sources: places.map { AskedSource($0) }, ledger: Ledger(folder: around.data + "/scaling"), binder: around.binder,
            configuration: configuration, log: log, metrics: around.metrics)
        hook.set(engine)
        var connections: [any Service] = [sources]
        if let keda = section.keda { connections.append(try Self.keda(keda, engine, log)) }
        self.engine = engine
        router = ScalingRoutes(engine).router
        self.connections = connections
        self.workers = workers
        self.longestDrain = longestDrain
    }

    /// The port that KEDA asks at. It is told what was last decided.
    private static func keda(_ settings: ScalingSection.KEDAListener, _ engine: ScalingEngine, _ log: Log) throws -> ScalerServer {
        let tls = settings.certificate.flatMap { certificate in
            settings.key.map { ScalerListener.TLS(certificate: certificate, key: $0, clientCA: settings.clientCA) }
        }
        let listener: ScalerListener
        do { listener = try ScalerListener(listen: settings.listen, tls: tls, isPlaintext: settings.isPlaintext) } catch {
            throw SettingsError(message: "scaling.keda: \(error)")
        }
        let board = ScalerBoard()
        let known = Locked<Set<String>>([])
        @Sendable func write(_ view: PolicyView) {
            let name = view.policy.name
            // A reading since the start: before that KEDA's own fallback has to act.
            let isKnown = known.withLock { known in
                if view.policy.queues.isEmpty || view.backlog != nil { known.insert(name) }
                return known.contains(name)
            }
            board.set(name, ScalerState(desired: view.last?.desired ?? 0, isKnown: isKnown && view.last != nil))
        }
        for view in engine.views { write(view) }
        engine.observe { write($0) }
        return ScalerServer(listener, view: board, log: log)
    }
}

extension AskedSource {
    /// A place of `BacklogSources`, whose conditions are numbered in their order.
    init(_ place: BacklogSources.AskedPlace) {
        let keys = place.keys
        let numbers = Dictionary(keys.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        self.init(
            name: place.name,
            read: { wanted, limit in
                var reports: [Int: QueueReport] = [:]
                for (key, report) in await place.read(Set(wanted.map { keys[$0] }), within: limit) {
                    if let number = numbers[key] { reports[number] = report }
                }
                return reports
            }, watch: { changed in await place.watch { key in if let number = numbers[key] { changed(number) } } })
    }
}

/// Workers are told to drain by the engine, which is made after them.
private final class DrainHook: Sendable {
    private let engine = Locked<ScalingEngine?>(nil)
    func set(_ engine: ScalingEngine) { self.engine.withLock { $0 = engine } }
    func drain(_ policy: String, _ instances: [String], _ limit: Duration) async -> Set<String> {
        await engine.withLock { $0 }?.drain(policy: policy, instances: instances, deadline: limit) ?? []
    }
}
