import HTTP
import Lifecycle
import Synchronization
import Telemetry
import ThreadExecutor

/// A server that runs: the library, the listening socket, and the thread that watches.
final class Engine: Sendable {
    let port: Int
    private let core: ServerCore
    private let daemon: Daemon
    private let watch: SocketWatch
    private let thread: ThreadExecutor

    /// Blocks while it resolves the address and tests the library.
    init(configuration: HTTPServerConfiguration, handler: any HTTPHandler, counters: ServerCounters, log: Log) throws {
        if let tls = configuration.tls { try tls.check() }
        try HeaderLayoutTest.runOnce()
        OpenFiles.raiseLimit(to: configuration.limits.connections + 512)
        let listener = try Listener(address: configuration.address, port: configuration.port)
        port = listener.port
        core = try ServerCore(configuration: configuration, handler: handler, counters: counters, log: log)
        daemon = try Daemon(configuration: configuration, core: core)
        watch = SocketWatch(core: core, daemon: daemon, listener: listener)
        thread = ThreadExecutor(name: "http-watch", parking: watch)
    }

    /// Accepts what waits, closes the listening socket, ends streams and long polls, cuts who has no request in hand, and waits for the others, whose
    /// answers close their connections. What is left after `limit` ends without an answer. Not shortened by cancellation but for that wait.
    func drain(within limit: Duration) async {
        let (core, watch, daemon, thread) = (self.core, self.watch, self.daemon, self.thread)
        try? await thread.run { watch.beginDrain() }
        _ = await withTimeLimit(limit) { await core.connections.allClosed.wait() }
        core.isStopping.store(true, ordering: .sequentiallyConsistent)
        let left = core.connections.all
        if !left.isEmpty { core.log.warning("connections were cut at the end of the drain", ["count": "\(left.count)"]) }
        for record in left { record.abandon() }
        try? await thread.run { daemon.stop() }
        thread.stop()
        let running = core.counters.tasks.load(ordering: .relaxed)
        if running > 0 { core.log.warning("handlers go on after their clients were cut", ["count": "\(running)"]) }
    }
}
