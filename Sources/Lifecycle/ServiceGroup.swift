import Glibc
package import Telemetry

/// Runs services: started in order, each when the one before has said `started()`; stopped in reverse, each when the one after has ended.
package struct ServiceGroup: Service {
    package let name: String
    private let services: [any Service]
    private let shutdownLimit: Duration
    private let log: Log

    /// `shutdownLimit` is how long all services together may take to end their work before they are cancelled.
    package init(name: String = "group", _ services: [any Service], shutdownLimit: Duration = .seconds(30), log: Log = .silent) {
        self.name = name
        self.services = services
        self.shutdownLimit = shutdownLimit
        self.log = log
    }

    /// Runs until SIGTERM or SIGINT was received and every service has ended; a second signal cancels at once. Throws the first `ServiceFailure`.
    package func runUntilSignal() async throws {
        let shutdown = ShutdownSignal()
        let signals = SignalSource([SIGTERM, SIGINT])
        defer { signals.cancel() }
        let received = signals.received
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await signal in received {
                    let first = !shutdown.isRequested
                    log.info(first ? "ending" : "ending at once", ["signal": signal == SIGTERM ? "SIGTERM" : "SIGINT"])
                    if !first { throw CancellationError() }
                    shutdown.request()
                }
            }
            group.addTask {
                try await run(ServiceLife(shutdown: shutdown))
                throw GroupEnded()
            }
            do {
                while try await group.next() != nil {}  // not waitForAll: it would wait for those that only end when cancelled
            } catch is GroupEnded {
            } catch is CancellationError {
            }
            group.cancelAll()
        }
    }

    /// Runs until shutdown is asked for, a service fails, or one returns unasked (the others would miss something they rely on).
    package func run(_ life: ServiceLife) async throws {
        let end = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await life.untilShutdown()
                end.request()
            }
            group.addTask {
                await end.wait()
                try await Task.sleep(for: shutdownLimit)
                log.warning("services did not end in time and are cancelled", ["limit": "\(shutdownLimit)"])
                throw CancellationError()
            }
            group.addTask {
                try await run(from: 0, end: end, life: life)
                throw GroupEnded()
            }
            do {
                while try await group.next() != nil {}  // not waitForAll: it would wait for those that only end when cancelled
            } catch is GroupEnded {
            } catch is CancellationError {
            }
            group.cancelAll()
        }
    }

    /// Runs the service at `index` around all later ones, so that the nesting of calls is the order of starts and stops.
    private func run(from index: Int, end: ShutdownSignal, life: ServiceLife) async throws {
        guard index < services.count else {
            life.started()
            await end.wait()
            return
        }
        let service = services[index]
        let shutdown = ShutdownSignal()
        let startedOrEnded = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { startedOrEnded.request() }
                do {
                    try await service.run(ServiceLife(shutdown: shutdown, onStarted: { startedOrEnded.request() }))
                } catch {
                    end.request()
                    throw error is ServiceFailure || error is CancellationError
                        ? error : ServiceFailure(service: service.name, underlying: error)
                }
                if !shutdown.isRequested, !Task.isCancelled {
                    log.warning("a service ended unasked", ["service": service.name])
                    end.request()
                }
            }
            await ShutdownSignal.first(of: startedOrEnded, end)
            var later: (any Error)?
            if !end.isRequested {
                do { try await run(from: index + 1, end: end, life: life) } catch { later = error }
            }
            shutdown.request()
            do { try await group.waitForAll() } catch  where later == nil { later = error } catch {}
            if let later { throw later }
        }
    }
}

/// A service of a group ended with an error.
package struct ServiceFailure: Error, CustomStringConvertible {
    package let service: String
    package let underlying: any Error
    package var description: String { "\(service): \(underlying)" }
}

/// Ends the tasks that stand beside the services.
private struct GroupEnded: Error {}
