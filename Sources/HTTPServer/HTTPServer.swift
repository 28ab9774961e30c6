import Glibc
package import HTTP
package import Lifecycle
import Synchronization
package import Telemetry
import ThreadExecutor

/// Serves a handler over HTTP/1.1, with TLS where it is configured.
///
/// What the handler has at hand (`cached`) goes out on the library's own thread; all else suspends its connection, runs in a task, and resumes it.
/// Malformed requests, slow clients and those that leave never reach a handler or are taken from it; see `HeaderBlock` and `ConnectionState`.
package final class HTTPServer: Service {
    package let name = "http-server"
    private let configuration: HTTPServerConfiguration
    private let handler: any HTTPHandler
    private let log: Log
    private let counters = ServerCounters()
    private let boundPort = Atomic<Int>(0)

    package init(configuration: HTTPServerConfiguration, handler: any HTTPHandler, log: Log = .silent, metrics: Metrics? = nil) {
        self.configuration = configuration
        self.handler = handler
        self.log = log
        if let metrics { counters.publish(to: metrics) }
    }

    /// The port that it listens on, once it has started; 0 before.
    package var port: Int { boundPort.load(ordering: .acquiring) }

    /// Listens until shutdown is asked for; then refuses new connections, ends streams and long polls, and returns when all other requests are
    /// answered or `drainTime` is over. Cancelled, it gives them no time. Throws `HTTPServerError` when it cannot start.
    package func run(_ life: ServiceLife) async throws {
        signal(SIGPIPE, SIG_IGN)  // a client that leaves must not end the process
        let starting = ThreadExecutor(name: "http-start")  // starting resolves names and waits for the header test: not for the pool
        defer { starting.stop() }
        let (configuration, handler, counters, log) = (self.configuration, self.handler, self.counters, self.log)
        let engine = try await starting.run { try Engine(configuration: configuration, handler: handler, counters: counters, log: log) }
        boundPort.store(engine.port, ordering: .releasing)
        log.info("listening", ["address": configuration.address, "port": "\(engine.port)", "tls": "\(configuration.tls != nil)"])
        life.started()
        await life.untilShutdown()
        await engine.drain(within: configuration.drainTime)
    }
}
