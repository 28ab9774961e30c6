internal import HTTP
internal import HTTPClient
internal import Lifecycle
internal import Locking
internal import Streams

/// One member of a group: pulls ahead up to its prefetch, keeps its leases while handlers run, and settles in batches.
final class GroupSubscription: ChannelSubscription {
    private struct Order: Sendable {
        let token: String
        let value: (list: String, entry: WireValue)
        /// Nil where nobody waits for the answer.
        let confirm: CheckedContinuation<BinderError?, Never>?
    }
    private struct State {
        var orders: [Order] = []
        var isEnding = false
        var hasEnded = false
        var sender: CheckedContinuation<Void, Never>?
    }
    let channel: ChannelClient
    private let destination: Destination
    private let group: ConsumerGroup
    private let options: SubscriptionOptions
    private let member = Identifier.random()
    private let orders = Locked(State())
    let buffer: EventBuffer
    let state: SubscriptionState

    init(channel: ChannelClient, destination: Destination, group: ConsumerGroup, options: SubscriptionOptions) {
        self.channel = channel
        self.destination = destination
        self.group = group
        self.options = options
        buffer = EventBuffer(prefetch: options.prefetch)
        state = SubscriptionState(options.events)
    }

    // MARK: Pulling

    func serve() async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in await read() }
            tasks.addTask { [self] in await keepLeases() }
        }
    }

    /// Makes sure that the group exists, then pulls.
    private func read() async {
        var exists = false
        await keepReading { backOff throws(BinderError) in
            if !exists {
                let query = options.start.query.map { [("start", $0)] } ?? []
                _ = try await channel.send(channel.request("PUT", destination, group, query: query))
                exists = true
            }
            state.ready()
            backOff.reset()
            guard let room = await buffer.room() else { return false }
            try await pull(room)
            return true
        }
    }

    private func pull(_ most: Int) async throws(BinderError) {
        let configuration = channel.configuration
        var request = channel.request(
            "POST", destination, group, "pull",
            query: [
                ("max", String(min(most, 1000))), ("wait", Self.text(configuration.wait)), ("lease", Self.text(configuration.lease)),
                ("member", member),
            ])
        request.totalLimit = configuration.wait + .seconds(15)
        guard let deliveries = try await channel.send(request)?["deliveries"]?.array else {
            throw BinderError(.broken, "\(channel.server) answered a pull without deliveries")
        }
        var items: [EventBuffer.Item] = []
        for delivery in deliveries {
            guard let token = delivery["token"]?.string else {
                throw BinderError(.broken, "\(channel.server) sent a delivery without a token")
            }
            items.append(
                EventBuffer.Item(
                    envelope: try Envelope(wire: delivery), attempt: Int(delivery["attempt"]?.integer ?? 1),
                    position: delivery["position"]?.string, token: token))
        }
        if !items.isEmpty { buffer.add(items) }
    }

    private static func text(_ duration: Duration) -> String {
        "\(max(1, duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000))ms"
    }

    // MARK: Leases

    /// Extends every lease in time until cancelled.
    private func keepLeases() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: channel.configuration.lease / 3)
            let tokens = buffer.tokens
            guard !tokens.isEmpty, !Task.isCancelled else { continue }
            let lease = WireValue.string(Self.text(channel.configuration.lease))
            let entries = tokens.map { WireValue.object([.init("token", .string($0)), .init("lease", lease)]) }
            let body = WireValue.object([.init("extend", .array(entries))])
            guard
                let results = try? await channel.send(channel.request("POST", destination, group, "settle", body: body))?["results"]?.array
            else { continue }
            let lost = results.filter { $0["result"]?.string == "unknown" }.compactMap { $0["token"]?.string }
            if !lost.isEmpty { buffer.forget(Set(lost)) }
        }
    }

    // MARK: Settling

    func settle(_ number: UInt64, _ outcome: DeliveryOutcome) async throws(BinderError) {
        let stale = BinderError(.closed, "the subscription no longer has this delivery in hand: the event is delivered again")
        guard let token = buffer.settle(number)?.token else { throw stale }
        let failure: BinderError? = await withCheckedContinuation { confirm in
            let isTaken = add(Order(token: token, value: Self.entry(token, outcome), confirm: confirm))
            if !isTaken { confirm.resume(returning: stale) }
        }
        if let failure { throw failure }
    }

    func handBack(_ number: UInt64, seen: Bool) {
        guard let token = buffer.settle(number)?.token else { return }
        _ = add(Order(token: token, value: seen ? Self.entry(token, .retry(after: .zero)) : ("release", .string(token)), confirm: nil))
    }

    private static func entry(_ token: String, _ outcome: DeliveryOutcome) -> (list: String, entry: WireValue) {
        let token = WireValue.Member("token", .string(token))
        switch outcome {
        case .accept: return ("accept", token.value)
        case .retry(let delay):
            return ("retry", delay > .zero ? .object([token, .init("after", .string(text(delay)))]) : token.value)
        case .reject(let reason):
            let why = WireValue.object([.init("message", .string(reason.message)), .init("kind", .string(reason.kind))])
            return ("reject", .object([token, .init("reason", why)]))
        }
    }

    private func add(_ order: Order) -> Bool {
        let (isTaken, sender) = orders.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.hasEnded else { return (false, nil) }
            state.orders.append(order)
            defer { state.sender = nil }
            return (true, state.sender)
        }
        sender?.resume()
        return isTaken
    }

    /// Sends settlements, all that have come at a time in one request, until `endSettling()` and none is left.
    func sendSettlements() async {
        while let batch = await nextOrders() {
            let failures = await send(batch)
            for order in batch {
                order.confirm?.resume(returning: failures.isEmpty ? nil : failures[order.token] ?? failures[""])
            }
        }
    }

    private func nextOrders() async -> [Order]? {
        while true {
            let (batch, isEnding) = orders.withLock { state in
                let batch = Array(state.orders.prefix(1000))
                state.orders.removeFirst(batch.count)
                if batch.isEmpty, state.isEnding { state.hasEnded = true }
                return (batch, state.isEnding)
            }
            if !batch.isEmpty { return batch }
            if isEnding { return nil }
            await withCheckedContinuation { continuation in
                let now = orders.withLock { state in
                    if !state.orders.isEmpty || state.isEnding { return true }
                    state.sender = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        }
    }

    /// What went wrong by token; under "" what concerns all others.
    private func send(_ batch: [Order]) async -> [String: BinderError] {
        var lists: [String: [WireValue]] = [:]
        for order in batch { lists[order.value.list, default: []].append(order.value.entry) }
        let body = WireValue.object(lists.sorted { $0.key < $1.key }.map { .init($0.key, .array($0.value)) })
        let channel = channel
        let request = channel.request("POST", destination, group, "settle", body: body)
        do {
            // Sent twice it does no harm: what was settled by the first is unknown to the second.
            let answer = try await channel.retrying(within: channel.configuration.lease, repeatable: true) { () async throws(BinderError) in
                try await channel.send(request)
            }
            var failures: [String: BinderError] = [:]
            for result in answer?["results"]?.array ?? [] {
                guard let token = result["token"]?.string, let message = result["message"]?.string else { continue }
                failures[token] = BinderError(result["result"]?.string == "unknown" ? .closed : .broken, message)
            }
            return failures
        } catch { return ["": error] }
    }

    func endSettling() {
        let sender = orders.withLock { state in
            state.isEnding = true
            defer { state.sender = nil }
            return state.sender
        }
        sender?.resume()
    }

    /// Tells the server that this member is gone, so that others get at once what it had.
    func leave() async {
        var request = channel.request("POST", destination, group, "leave", query: [("member", member)])
        request.totalLimit = .seconds(2)
        _ = try? await channel.send(request)
    }
}
