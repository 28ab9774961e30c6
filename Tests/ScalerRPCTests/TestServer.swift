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
    return try await RunningService.with(server) { running in
        try await body(RunningServer(port: server.port, shutdown: running.shutdown, ended: running.ended, task: running.task))
    }
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
