import HTTP
import HTTPServer
import Lifecycle
import Telemetry
import TestSupport

/// Runs a server on a free port for the time of `body`, then asks it to end and waits until it has.
func withServer<R: Sendable>(
    _ handler: any HTTPHandler, limits: HTTPServerLimits = HTTPServerLimits(), tls: HTTPServerTLS? = nil, threads: Int = 2,
    drainTime: Duration = .seconds(5), metrics: Metrics? = nil, _ body: (RunningServer) async throws -> R
) async throws -> R {
    let configuration = HTTPServerConfiguration(port: 0, tls: tls, limits: limits, threads: threads, drainTime: drainTime)
    let server = HTTPServer(configuration: configuration, handler: handler, metrics: metrics)
    return try await RunningService.with(server) { running in
        try await body(RunningServer(port: server.port, shutdown: running.shutdown, ended: running.ended))
    }
}

struct RunningServer: Sendable {
    let port: Int
    /// Given by a test that wants to see a drain.
    let shutdown: ShutdownSignal
    let ended: ShutdownSignal

    func client() throws -> RawClient { try RawClient(port: port) }

    /// Sends `request` on a new connection and reads to its end.
    func exchange(_ request: String) async throws -> String {
        let client = try client()
        try await client.send(request)
        return try await client.untilEnd()
    }

    /// Sends `request` on a new connection and reads one answer.
    func answer(_ request: String) async throws -> RawAnswer {
        let client = try client()
        try await client.send(request)
        return try await client.answer()
    }
}

/// `GET` of a path as most tests send it.
func get(_ path: String, _ fields: String...) -> String {
    "GET \(path) HTTP/1.1\r\nHost: test\r\n\(fields.map { $0 + "\r\n" }.joined())\r\n"
}
