package import Lifecycle
import Synchronization
package import Telemetry
import ThreadExecutor

/// Answers KEDA, which asks for the state of policies as of an external scaler.
package final class ScalerServer: Service {
    package let name = "keda"
    private let listener: ScalerListener
    private let limits: ScalerLimits
    private let scaler: ExternalScaler
    private let log: Log
    private let boundPort = Atomic<Int>(0)
    private let openStreams = Atomic<Int>(0)

    package init(_ listener: ScalerListener, view: any ScalerView, limits: ScalerLimits = ScalerLimits(), log: Log = .silent) {
        self.listener = listener
        self.limits = limits
        scaler = ExternalScaler(view: view)
        self.log = log
    }

    /// The port that it listens on, once it has started; 0 before.
    package var port: Int { boundPort.load(ordering: .acquiring) }

    /// Listens until shutdown is asked for; then ends streams with UNAVAILABLE, answers what is in hand, and returns. Cancelled, it gives calls no
    /// time. Throws `ScalerServerError` when it cannot start.
    package func run(_ life: ServiceLife) async throws {
        OpenFiles.raiseLimit(to: limits.streams + limits.calls + 512)
        // Resolves names, reads files, and looks whether the port is served: not for the pool.
        let thread = ThreadExecutor(name: "keda-start")
        defer { thread.stop() }
        var (server, place) = try await start(on: thread)
        log.info("listening", ["address": place.text, "tls": "\(listener.tls != nil)"])
        life.started()
        while true {
            let isLost = await serve(server, place, life, thread)
            await server.end()
            guard isLost else { return }
            guard let next = await restart(at: place, life, on: thread) else { return }
            (server, place) = next
        }
    }

    private func start(on thread: ThreadExecutor, at known: ScalerPlace? = nil) async throws -> (RPCServer, ScalerPlace) {
        let (listener, limits, log) = (self.listener, self.limits, self.log)
        let server = try await thread.run { try RPCServer(limits, log: log) }
        do {
            let place = try await thread.run {
                let credentials = try ServerCredentials(listener.tls)
                let place = try known ?? ScalerPlace(listener)
                return ScalerPlace(address: place.address, port: try server.listen(place, credentials))
            }
            boundPort.store(place.port, ordering: .releasing)
            return (server, place)
        } catch {
            await server.end()
            throw error
        }
    }

    /// Tries until it listens again; nil when shutdown was asked for before.
    private func restart(at place: ScalerPlace, _ life: ServiceLife, on thread: ThreadExecutor) async -> (RPCServer, ScalerPlace)? {
        var pause = Duration.milliseconds(100)
        while !life.shutdown.isRequested, !Task.isCancelled {
            do { return try await start(on: thread, at: place) } catch {
                log.error("cannot listen for KEDA, will try again", ["error": "\(error)"])
            }
            await life.shutdown.wait(atMost: pause)
            pause = min(pause * 2, .seconds(30))
        }
        return nil
    }

    /// Serves until shutdown is asked for; true when the port was lost before.
    private func serve(_ server: RPCServer, _ place: ScalerPlace, _ life: ServiceLife, _ thread: ThreadExecutor) async -> Bool {
        let end = ShutdownSignal()
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { [self] in
                await server.serve(until: end) { call in await self.answer(call, until: end) }
                return false
            }
            group.addTask {
                await ShutdownSignal.first(of: life.shutdown, end)
                end.request()
                return false
            }
            group.addTask { [self] in
                let isLost = await hasLostPort(place, until: end, on: thread)
                if isLost { log.error("the port for KEDA takes no connections any more: listening anew", ["address": place.text]) }
                end.request()
                return isLost
            }
            var isLost = false
            for await one in group { isLost = isLost || one }
            return isLost
        }
    }

    /// Returns true once nobody has taken a connection twice in turn, which is so after libgrpc could not accept one because no open file was left:
    /// it never accepts again then.
    private func hasLostPort(_ place: ScalerPlace, until end: ShutdownSignal, on thread: ThreadExecutor) async -> Bool {
        let limit = Int32(limits.probeTime / .milliseconds(1))
        var failures = 0
        var pause = limits.probe
        while true {
            await end.wait(atMost: pause)
            if end.isRequested || Task.isCancelled { return false }
            // Nil when it could not be tried, which says nothing.
            let isServed = (try? await thread.run { place.isServed(within: limit) }) ?? nil
            if let isServed { failures = isServed ? 0 : failures + 1 }
            if failures == 2 { return true }
            pause = isServed == false ? .zero : limits.probe
        }
    }

    private func answer(_ call: ServerCall, until end: ShutdownSignal) async {
        guard let method = ExternalScaler.Method(path: call.method) else {
            return await call.finish(RPCStatus(.unimplemented, "KEDA's external scaler has no method \(call.method.prefix(100))"))
        }
        guard let request = await request(of: call) else { return }
        do throws(RPCStatus) {
            guard method.isStream else { return await call.finish(.ok, try await scaler.answer(method, request)) }
            defer { openStreams.subtract(1, ordering: .relaxed) }
            guard openStreams.add(1, ordering: .relaxed).newValue <= limits.streams else {
                throw RPCStatus(.resourceExhausted, "\(limits.streams) streams are open already")
            }
            try await scaler.stream(method, request, until: end) { message in await call.send(message) }
        } catch {
            await call.finish(error)
        }
    }

    /// The request; nil when none came and the call has ended for that.
    private func request(of call: ServerCall) async -> [UInt8]? {
        let limit = limits.requestTime
        return await withTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                let request = await call.request()
                // One that is too long has been refused by the library, which counts, and one whose client has left is over.
                if request == nil { await call.finish(RPCStatus(.invalidArgument, "the call has no request")) }
                return request
            }
            group.addTask {
                do { try await Task.sleep(for: limit) } catch { return nil }  // the limit itself
                // With the call, the wait for its request ends.
                await call.finish(RPCStatus(.deadlineExceeded, "the request did not come within \(limit)"))
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
