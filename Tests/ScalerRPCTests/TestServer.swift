import Lifecycle
import ScalerRPC
import Telemetry
import TestSupport

/// Runs a server on a free port of loopback for the time of `body`, then asks it to end and waits until it has.
func withServer<R: Sendable>(
    _ board: ScalerBoard, limits: ScalerLimits = ScalerLimits(), tls: ScalerListener.TLS? = nil, listen: String = "127.0.0.1:0",
    log: Log = .silent, _ body: (RunningServer) async throws -> R
) async throws -> R {
    let server = ScalerServer(try ScalerListener(listen: listen, tls: tls), view: board, limits: limits, log: log)
    let shutdown = ShutdownSignal()
    let started = ShutdownSignal()
    let ended = ShutdownSignal()
    let task = Task {
        defer {
            started.request()
            ended.request()
        }
        try await server.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
    }
    await started.wait()
    let result: Result<R, any Error>
    do {
        result = .success(try await body(RunningServer(port: server.port, shutdown: shutdown, ended: ended, task: task)))
    } catch {
        result = .failure(error)
    }
    shutdown.request()
    try await task.value
    return try result.get()
}

struct RunningServer: Sendable {
    let port: Int
    /// Given by a test that wants to see the end.
    let shutdown: ShutdownSignal
    let ended: ShutdownSignal
    let task: Task<Void, any Error>

    var address: String { "127.0.0.1:\(port)" }
}

extension ScalerBoard {
    /// Policies with these counts, all of them known.
    convenience init(counts: [String: Int]) { self.init(counts.mapValues { ScalerState(desired: $0, isKnown: true) }) }

    func set(_ policy: String, count: Int) { set(policy, ScalerState(desired: count, isKnown: true)) }
}
