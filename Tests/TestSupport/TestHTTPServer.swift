package import HTTP
package import HTTPServer

/// A real server on a loopback port, for tests that stop it and start it again.
package final class TestHTTPServer: Sendable {
    package let port: Int
    private let running: RunningService

    private init(port: Int, _ running: RunningService) {
        self.port = port
        self.running = running
    }

    /// Returns when it listens. Port 0 is any free one.
    package static func start(_ handler: any HTTPHandler, port: Int = 0, tls: HTTPServerTLS? = nil) async throws -> TestHTTPServer {
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(port: port, tls: tls, threads: 2, drainTime: .milliseconds(200)), handler: handler)
        let running = await RunningService(server)
        if server.port == 0 { try await running.task.value }
        return TestHTTPServer(port: server.port, running)
    }

    package var url: String { "http://127.0.0.1:\(port)" }

    /// Returns when it has ended and its port is free.
    package func stop() async throws { try await running.end() }

    /// Runs `body` beside a server, and stops it.
    package static func with<R>(
        _ handler: any HTTPHandler, port: Int = 0, tls: HTTPServerTLS? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: (TestHTTPServer) async throws -> R
    ) async throws -> R {
        let server = try await start(handler, port: port, tls: tls)
        let result: R
        do {
            result = try await body(server)
        } catch {
            try await server.stop()
            throw error
        }
        try await server.stop()
        return result
    }
}
