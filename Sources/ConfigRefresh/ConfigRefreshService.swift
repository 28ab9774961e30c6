package import Bus
package import ConfigClient
package import Lifecycle
package import Telemetry

/// Keeps a client current by the events of a bus, and answers them with receipts. Put it behind the bus in the group of services.
package final class ConfigRefreshService: Service {
    package let name = "config-refresh"
    private let client: ConfigClient
    private let bus: EventBus
    private let log: Log
    /// When the bus was connected, or connected again; the newest that nobody has seen yet.
    private let connections: AsyncStream<Void>

    package init(_ client: ConfigClient, bus: EventBus, log: Log = .silent) {
        self.client = client
        self.bus = bus
        self.log = log
        let (connections, connected) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.connections = connections
        bus.handle(.refresh) { [weak self] message in
            guard let self else { return EventBus.Handled(.none) }
            return try await refresh(message.details)
        }
        bus.handleGap { [weak self] in await self?.compare("events may have been missed") }
        // Between the first fetch and the first moment on the bus, and while a server was away, there may have been changes without an event.
        bus.observe { if case .ready = $0 { connected.yield() } }
    }

    /// Starts the client where nobody has, waiting for a server where there is neither one nor a last known good; then runs until shutdown.
    package func run(_ life: ServiceLife) async throws {
        _ = try await life.cancelOnShutdown { [self] in
            try await begin()
            life.started()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    for await _ in self.connections {
                        try await self.client.waitForTurn()
                        await self.compare("the bus is connected")
                    }
                }
                tasks.addTask {
                    var pace = self.client.pollPace()
                    while true {
                        try await pace.wait()
                        await self.compare("poll")
                    }
                }
                while try await tasks.next() != nil {}
            }
        }
    }

    private func begin() async throws {
        var backOff = BackOff(first: .milliseconds(500), longest: .seconds(5))
        while client.snapshot == nil {
            do throws(ConfigError) {
                try await client.start()
            } catch {
                guard error.isRetriable else { throw error }
                log.warning("there is no configuration yet", ["reason": error.message])
                try await Task.sleep(for: backOff.next())  // between two tries
            }
        }
        report()
    }

    private var running: RunningConfiguration? {
        client.snapshot.map { RunningConfiguration(label: client.settings.label, version: $0.version, hash: $0.contentHash) }
    }

    private func report() { if let running { bus.setRunning(running, report: true) } }

    /// Asks the server without an event, and tells the bus when something else runs afterwards.
    private func compare(_ reason: String) async {
        let before = running
        do throws(ConfigError) {
            try await client.refresh()
            if running != before { report() }
        } catch {
            if error.code != .cancelled {
                log.warning("configuration could not be compared", ["cause": reason, "error": error.message])
            }
        }
    }

    /// Answers a refresh event.
    private func refresh(_ details: RefreshDetails) async throws -> EventBus.Handled {
        if let version = details.version, version == client.snapshot?.version { return EventBus.Handled(.unchanged, running: running) }
        try await client.waitForTurn()
        // The version of another label is none that ours could ever have.
        let isOurs = details.label == nil || client.settings.label == nil || details.label == client.settings.label
        let update = try await client.refresh(minimumVersion: isOurs ? details.version : nil)
        return EventBus.Handled(update.outcome == .applied ? .applied : .unchanged, running: running)
    }
}
