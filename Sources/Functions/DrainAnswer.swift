import Lifecycle
import Streams
import Telemetry

/// Takes part in an orderly end: a server that runs this process as a worker says over the bus that it will be ended, and is answered when nothing is
/// in hand any more.
///
/// The server names the worker by `CARILLON_POLICY` and `CARILLON_INSTANCE`. What is said is JSON in the destination `carillon.scaling.reports`, so
/// that workers in any language can do the same.
struct DrainAnswer: Service {
    private static let destination = Destination(fixed: "carillon.scaling.reports")
    /// Told again so often: a server that was started since has not heard it.
    private static let interval = Duration.seconds(20)

    let name = "drain"
    private let policy: String
    private let instance: String
    private let binder: any Binder
    private let bindings: Bindings
    private let log: Log

    /// Nil where no server runs this process.
    init?(environment: [String: String], binder: (any Binder)?, bindings: Bindings, log: Log) {
        guard let binder, let policy = environment["CARILLON_POLICY"], let instance = environment["CARILLON_INSTANCE"], !instance.isEmpty
        else { return nil }
        self.policy = policy
        self.instance = instance
        self.binder = binder
        self.bindings = bindings
        self.log = log
    }

    func run(_ life: ServiceLife) async throws {
        life.started()
        _ = try await life.cancelOnShutdown {
            var backOff = BackOff(first: .milliseconds(500), longest: .seconds(15))
            while true {
                let stood = ShutdownSignal()
                do { try await listen { stood.request() } } catch {
                    try Task.checkCancellation()
                    log.warning("who wants this worker to drain cannot be heard; trying again", ["reason": "\(error)"])
                }
                if stood.isRequested { backOff.reset() }
                try await Task.sleep(for: backOff.next())  // between two tries
            }
        }
    }

    private func listen(_ stands: @escaping @Sendable () -> Void) async throws {
        try await binder.withSubscription(to: Self.destination, group: nil, options: SubscriptionOptions(prefetch: 16)) { deliveries in
            stands()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while true {
                        try await say([
                            .init("type", .string("autoscale.report")), .init("policy", .string(policy)), .init("drains", .boolean(true)),
                        ])
                        try await Task.sleep(for: Self.interval)  // so often it says that it takes part
                    }
                }
                defer { group.cancelAll() }
                while let delivery = try await deliveries.next() {
                    let isMeant = Self.isMeant(instance, by: delivery.envelope)
                    try? await delivery.accept()  // a broadcast subscription keeps nothing
                    if isMeant { try await drain() }
                }
            }
        }
    }

    static func isMeant(_ instance: String, by envelope: Envelope) -> Bool {
        guard let value = try? WireValue(envelope.payload), value["type"]?.string == "autoscale.drain" else { return false }
        return value["instances"]?.array?.contains(.string(instance)) == true
    }

    /// Takes nothing more and ends what is in hand; then says so.
    private func drain() async throws {
        log.info("told to drain", ["instance": instance])
        for binding in bindings.views where binding.isInput && binding.state != .stopped { try? await bindings.stop(binding.binding) }
        try await say([.init("type", .string("autoscale.drained"))])
    }

    private func say(_ members: [WireValue.Member]) async throws {
        let value = WireValue.object(members + [.init("instance", .string(instance))])
        _ = try await binder.publish(Envelope(payload: value.bytes, contentType: "application/json"), to: Self.destination)
    }
}
