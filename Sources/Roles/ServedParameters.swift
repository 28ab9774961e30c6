import ConfigModel
import ConfigRepositories
import Lifecycle
import Locking
import Telemetry

/// What the business tells scaling policies by the configuration that this server serves: a commit changes a deadline or an amount, and nothing has
/// to be started anew.
///
/// The names are looked up in the environment that the server's own application (`bus.application`) is served without a profile, at the start and after
/// every change. While that environment cannot be read, what was read last counts.
final class ServedParameters: Service {
    let name = "served parameters"
    private let names: Set<String>
    private let audience: Audience
    private let repository: any ConfigRepository
    private let take: @Sendable ([String: String]) -> Void
    private let log: Log
    private let changed = Locked(ShutdownSignal())

    /// `take` gets the values that there are, as they are written.
    init(
        _ names: Set<String>, of application: String, in repository: any ConfigRepository, log: Log,
        take: @escaping @Sendable ([String: String]) -> Void
    ) {
        self.names = names
        audience = Audience(applications: [application], profiles: ["default"], label: nil)
        self.repository = repository
        self.log = log
        self.take = take
    }

    /// Something is served that was not before.
    func lookAgain() { changed.withLock { $0 }.request() }

    func run(_ life: ServiceLife) async throws {
        life.started()
        guard !names.isEmpty else { return await life.untilShutdown() }
        _ = try await life.cancelOnShutdown { [self] in
            while true {
                let next = ShutdownSignal()
                changed.withLock { $0 = next }
                await look()
                await next.wait()
                try Task.checkCancellation()
            }
        }
    }

    private func look() async {
        do throws(ConfigError) {
            let merged = try await repository.environment(for: audience).merged
            take(merged.filter { names.contains($0.key) }.mapValues(\.text))
        } catch {
            log.warning("what policies ask the business for cannot be read; what was read last counts", ["reason": error.message])
        }
    }
}
