import Lifecycle
import Locking
import Options
import Streams

/// One piece of work while a binder runs.
private final class Errand<Result: Sendable>: Service {
    let name = "errand"
    private let work: @Sendable () async throws -> Result
    private let outcome = Locked<Swift.Result<Result, any Error>?>(nil)

    init(_ work: @escaping @Sendable () async throws -> Result) { self.work = work }

    func run(_ life: ServiceLife) async throws {
        life.started()
        do {
            guard let result = try await life.cancelOnShutdown(work) else { return }
            outcome.withLock { $0 = .success(result) }
        } catch {
            outcome.withLock { $0 = .failure(error) }
        }
    }

    func result() throws -> Result {
        guard let outcome = outcome.withLock({ $0 }) else { throw Failure("interrupted") }
        return try outcome.get()
    }
}

enum Errands {
    /// Runs `work` while the binder of this call runs; a broker that cannot be reached is a `Failure` that says what to try.
    static func run<R: Sendable>(
        over binder: any Binder, _ invocation: Invocation, _ work: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let errand = Errand(work)
        try await ServiceGroup(name: "errand", [binder, errand]).runUntilSignal()
        do { return try errand.result() } catch let error as BinderError {
            throw Failure(Broker.reason(error, invocation))
        }
    }
}
