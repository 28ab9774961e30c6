import ConfigModel
import ConfigRepositories
import GitRepository
import Lifecycle
import Locking
import PropertyFormats

/// Files parsed as the server does it.
func parsedFiles() -> ParsedFiles {
    ParsedFiles { (path, bytes) throws(ConfigError) in
        do throws(PropertyFormatError) {
            return ParsedFile(documents: try PropertyFile.parse(bytes, path: path).map { $0.properties })
        } catch {
            throw ConfigError(.broken, error.description)
        }
    }
}

extension GitRepository {
    /// The merged values of `app` and `default`, as text.
    func values(_ application: String = "app", _ profile: String = "default", label: String? = nil) async throws -> [String: String] {
        try await environment(for: Audience(applications: [application], profiles: [profile], label: label)).values
    }

    func version(label: String? = nil) async throws -> String? {
        try await environment(for: Audience(applications: ["app"], profiles: ["default"], label: label)).version
    }

    /// Runs the repository around `body`.
    func running<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        let shutdown = ShutdownSignal()
        let started = ShutdownSignal()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
            await started.wait()
            do {
                let result = try await body()
                shutdown.request()
                try await group.waitForAll()
                return result
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }
}

extension ConfigEnvironment {
    var values: [String: String] { merged.mapValues(\.text) }
}

/// Changes in the order in which a repository told them.
final class Changes: Sendable {
    private let list = Locked<[SnapshotChange]>([])
    var all: [SnapshotChange] { list.withLock { $0 } }
    func add(_ change: SnapshotChange) { list.withLock { $0.append(change) } }
}

/// The code of the `ConfigError` that `body` throws; nil when it throws none.
func code(of body: () async throws -> Void) async -> ConfigError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ConfigError)?.code
    }
}
