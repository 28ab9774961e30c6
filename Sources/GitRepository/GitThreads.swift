import ConfigRepositories
import ThreadExecutor

/// The two threads of a `GitRepository`: answers are read on one, so that they never wait for the network that the other one speaks to.
final class GitThreads: Sendable {
    let reading = ThreadExecutor(name: "git-reading")
    let looking = ThreadExecutor(name: "git-looking")

    /// Runs `body` on the looking thread.
    func result<T: Sendable>(_ body: @escaping @Sendable () throws(ConfigError) -> T) async -> Result<T, ConfigError> {
        await withCheckedContinuation { continuation in
            looking.submit { continuation.resume(returning: Result { () throws(ConfigError) in try body() }) }
        }
    }

    deinit {
        reading.stop()
        looking.stop()
    }
}
