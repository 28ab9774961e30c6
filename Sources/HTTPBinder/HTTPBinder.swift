internal import HTTPClient
package import Lifecycle
internal import Locking
package import Streams
package import Telemetry

/// Another Carillon's event channels as a binder: an instance needs no broker but that server.
///
/// Publishing waits for the server's confirm. A broadcast subscription is an event stream that resumes behind the last event it has seen, a
/// group's member pulls with leases. A lost connection is made again with jittered back-off.
package final class HTTPBinder: Binder {
    private enum Phase { case open, ending, closed }
    private struct State {
        var phase = Phase.open
        var subscriptions: [UInt64: (buffer: EventBuffer, state: SubscriptionState)] = [:]
        var last: UInt64 = 0
        /// Why the server could not be reached the last time; nil when it was.
        var trouble: String? = "not connected yet"
    }
    package let name = "http binder"
    /// As of a server with the embedded broker.
    package let capabilities: BinderCapabilities = [
        .durableGroups, .broadcast, .orderPerKey, .orderGlobal, .nativeDelay, .nativeDeadLetters, .lag, .restartable, .binaryHeaders,
        .replay, .remote, .credentials, .bounded,
    ]
    let channel: ChannelClient
    private let state = Locked(State())
    private let drained = ShutdownSignal()
    private let log: Log

    package init(configuration: HTTPBinderConfiguration, log: Log = .silent) {
        channel = ChannelClient(configuration)
        self.log = log
    }

    package var readiness: Readiness {
        let (phase, trouble, states) = state.withLock { ($0.phase, $0.trouble, $0.subscriptions.values.map(\.state)) }
        guard phase == .open else { return .waiting("the binder is ending") }
        for state in states { if case .waiting(let reason) = state.readiness { return .waiting(reason) } }
        // A subscription that stands says more than an earlier failure.
        if states.isEmpty, let trouble { return .waiting(trouble) }
        return .ready
    }

    /// Looks for the server until shutdown; then ends the subscriptions, lets what is in hand be settled, and closes.
    package func run(_ life: ServiceLife) async throws {
        life.started()  // an absent server must not keep the rest of the program from starting
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in await watch() }
            await life.untilShutdown()
            tasks.cancelAll()
        }
        let buffers = state.withLock { state in
            state.phase = .ending
            return state.subscriptions.values.map(\.buffer)
        }
        for buffer in buffers { buffer.end() }
        if !buffers.isEmpty { await drained.wait() }
        state.withLock { $0.phase = .closed }
    }

    /// Asks the server whether it is there, often while it is not.
    private func watch() async {
        var backOff = BackOff(first: channel.configuration.firstPause, longest: channel.configuration.longestPause)
        guard let probe = try? Destination("carillon") else { return }
        while !Task.isCancelled {
            var request = channel.request("HEAD", probe)
            request.totalLimit = .seconds(5)
            do throws(BinderError) {
                _ = try await channel.send(request)
                note(nil)
                backOff.reset()
                try? await Task.sleep(for: channel.configuration.longestPause)
            } catch {
                guard !Task.isCancelled else { return }
                note(error)
                try? await Task.sleep(for: backOff.next())  // between two tries
            }
        }
    }

    /// Keeps whether the server can be reached, and says so once for each change.
    private func note(_ error: BinderError?) {
        if let error, ![.unreachable, .refused, .timedOut].contains(error.code) { return }
        let changed = state.withLock { state in
            defer { state.trouble = error?.message }
            return (state.trouble == nil) != (error == nil)
        }
        guard changed else { return }
        if let error {
            log.warning("the event channels cannot be reached", ["error": error.message])
        } else {
            log.info("event channels reached", ["server": channel.server])
        }
    }

    // MARK: Publishing

    /// Returns after the server's confirm. A server that is away is tried again within the limit. Throws `.timedOut` where the connection was lost
    /// behind the request: the event may or may not have arrived.
    package func publish(_ envelope: Envelope, to destination: Destination) async throws(BinderError) -> PublishReceipt {
        try checkOpen()
        let channel = channel
        let limit = channel.configuration.publishLimit
        let end = ContinuousClock.now + limit
        let body = WireValue.object(envelope.wireMembers)
        do throws(BinderError) {
            let answer = try await channel.retrying(within: limit, repeatable: false) { () async throws(BinderError) in
                var request = channel.request("POST", destination, body: body, type: Envelope.wireType)
                request.totalLimit = max(.milliseconds(1), end - ContinuousClock.now)
                return try await channel.send(request)
            }
            note(nil)
            guard let id = answer?["id"]?.string else { throw BinderError(.broken, "\(channel.server) confirmed an event without its id") }
            return PublishReceipt(id: id, position: answer?["position"]?.string)
        } catch {
            note(error)
            throw error
        }
    }

    private func checkOpen() throws(BinderError) {
        guard state.withLock({ $0.phase != .closed }) else { throw BinderError(.closed, "the binder of \(channel.server) is closed") }
    }

    // MARK: Subscribing

    package func prepare(group: ConsumerGroup, of destination: Destination) async throws(BinderError) {
        try checkOpen()
        let channel = channel
        _ = try await channel.retrying(within: channel.configuration.publishLimit, repeatable: true) { () async throws(BinderError) in
            try await channel.send(channel.request("PUT", destination, group))
        }
    }

    /// Waits for the server while it is away. Throws what it refuses for good: names, positions, credentials.
    package func withSubscription<R: Sendable>(
        to destination: Destination, group: ConsumerGroup?, options: SubscriptionOptions,
        _ body: (inout Deliveries) async throws -> R
    ) async throws -> R {
        guard options.partition == nil else {
            throw BinderError(.invalid, "event channels have no partitions: subscribe to \(destination) without one")
        }
        let subscription: any ChannelSubscription =
            if let group {
                GroupSubscription(channel: channel, destination: destination, group: group, options: options)
            } else {
                BroadcastSubscription(channel: channel, destination: destination, options: options)
            }
        let id = try enter(subscription.buffer, subscription.state)
        defer { leave(id) }
        return try await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await subscription.serve() }
            // Not a child: settlements of a task that is cancelled must still reach the server. It is awaited below.
            let settling = Task { await subscription.sendSettlements() }
            let result = await run(body, subscription)
            tasks.cancelAll()
            await tasks.waitForAll()
            subscription.buffer.end()
            subscription.endSettling()
            await settling.value
            await Task { await subscription.leave() }.value  // shields the farewell from cancellation
            return result
        }.get()
    }

    private func run<R: Sendable>(
        _ body: (inout Deliveries) async throws -> R, _ subscription: any ChannelSubscription
    ) async -> Result<R, any Error> {
        do {
            try await subscription.state.established(channel.server)
            var deliveries = Deliveries(subscription)
            return .success(try await body(&deliveries))
        } catch { return .failure(error) }
    }

    private func enter(_ buffer: EventBuffer, _ subscription: SubscriptionState) throws(BinderError) -> UInt64 {
        let id = state.withLock { state -> UInt64? in
            guard state.phase == .open else { return nil }
            state.last += 1
            state.subscriptions[state.last] = (buffer, subscription)
            return state.last
        }
        guard let id else { throw BinderError(.closed, "the binder of \(channel.server) is closed") }
        return id
    }

    private func leave(_ id: UInt64) {
        let isLast = state.withLock { state in
            state.subscriptions[id] = nil
            return state.phase == .ending && state.subscriptions.isEmpty
        }
        if isLast { drained.request() }
    }
}
