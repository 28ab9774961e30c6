internal import HTTP
internal import Lifecycle
internal import Locking
internal import Streams

extension Channels {
    /// A broadcast subscription as an event stream: `ready`, then one event for each delivery; `interrupted`, `resumed` and `gap` tell of the
    /// broker's connection; `error` comes before an end that was not asked for. `?format=cloudevents` gives the events as CloudEvents.
    func stream(_ request: HTTPRequest, of destination: Destination) async throws -> HTTPResponse {
        var start = try Self.start(request.headers["Last-Event-ID"] ?? request.parameter("after"))
        let headers: HTTPHeaders = [
            "Content-Type": "text/event-stream;charset=UTF-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
        ]
        let format = request.parameter("format") ?? "envelope"
        guard ["envelope", "cloudevents"].contains(format) else {
            throw ChannelError(400, "invalid", "format=\(format.prefix(40)) must be envelope or cloudevents")
        }
        guard request.method != "HEAD" else { return HTTPResponse(200, headers: headers) }
        // Given back when the closure below, which holds it, goes: whether it ever ran or not.
        let place = try streams.enter(destination)
        // Known before the subscription begins, so that a client that has seen no event yet can resume too.
        var position: String?
        if start == .latest, let telling = binder as? any PositionTelling {
            position = try await telling.latestPosition(of: destination)
            if let position { start = .after(position) }
        }
        if case .after(let text) = start, position == nil { position = text }
        let (first, known) = (start, position)
        return HTTPResponse(
            200, headers: headers,
            body: .stream { [self] writer in
                try await write(destination, asCloudEvents: format == "cloudevents", from: first, known: known, to: writer)
                withExtendedLifetime(place) {}
            })
    }

    private func write(
        _ destination: Destination, asCloudEvents: Bool, from start: StartPosition, known: String?, to writer: BodyWriter
    ) async throws {
        let notices = StreamNotices()
        let options = SubscriptionOptions(prefetch: 64, start: start) { notices.add($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [settings] in
                while true {
                    try await Task.sleep(for: settings.keepAlive)  // a line so often, so that nobody between takes the stream for dead
                    notices.tick()
                }
            }
            group.addTask { [binder] in
                do {
                    try await binder.withSubscription(to: destination, group: nil, options: options) { deliveries in
                        var lastID = known
                        while true {
                            let (events, signal, isTick) = notices.take()
                            for event in events { try await writer.write(Self.bytes(of: event, lastID: lastID)) }
                            if isTick, events.isEmpty { try await writer.write(ServerSentEvent.keepAlive) }
                            guard let delivery = try await deliveries.next(until: signal) else {
                                guard signal.isRequested else { break }
                                continue
                            }
                            lastID = delivery.position ?? lastID
                            let data =
                                asCloudEvents
                                ? CloudEvent(delivery.envelope, from: destination).structured()
                                : WireValue.object(delivery.envelope.wireMembers).bytes
                            let event = ServerSentEvent(id: delivery.position, data: String(decoding: data, as: UTF8.self))
                            // What came before the delivery is told before it.
                            for event in notices.takeEvents() { try await writer.write(Self.bytes(of: event, lastID: nil)) }
                            try await writer.write(event.bytes)
                            try await delivery.accept()
                        }
                    }
                } catch let error as BinderError where error.code != .cancelled {
                    let data = String(decoding: ChannelError(error).wire.bytes, as: UTF8.self)
                    try await writer.write(ServerSentEvent(event: "error", data: data).bytes)
                }
                throw CancellationError()  // ends the ticks too
            }
            do { while try await group.next() != nil {} } catch is CancellationError {}
            group.cancelAll()
        }
    }

    private static func bytes(of event: SubscriptionEvent, lastID: String?) -> [UInt8] {
        switch event {
        case .ready: ServerSentEvent(id: lastID, event: "ready", data: "{}").bytes
        case .interrupted(let reason):
            ServerSentEvent(
                event: "interrupted", data: String(decoding: WireValue.object([.init("message", .string(reason))]).bytes, as: UTF8.self)
            )
            .bytes
        case .resumed: ServerSentEvent(event: "resumed", data: "{}").bytes
        case .gap: ServerSentEvent(event: "gap", data: "{}").bytes
        }
    }
}

/// What the writer of a stream has to say besides deliveries; each thing added wakes it.
private final class StreamNotices: Sendable {
    private struct State {
        var events: [SubscriptionEvent] = []
        var isTick = false
        var signal = ShutdownSignal()
    }
    private let state = Locked(State())

    func add(_ event: SubscriptionEvent) {
        state.withLock { state in
            // A broker that comes and goes while nobody reads needs no more than the last of it.
            if state.events.count >= 16 { state.events.removeFirst() }
            state.events.append(event)
            return state.signal
        }.request()
    }

    func tick() {
        state.withLock { state in
            state.isTick = true
            return state.signal
        }.request()
    }

    /// All that there is to say, and the signal that is given when there is more.
    func take() -> ([SubscriptionEvent], ShutdownSignal, isTick: Bool) {
        state.withLock { state in
            defer {
                state.events = []
                state.isTick = false
            }
            if state.signal.isRequested { state.signal = ShutdownSignal() }
            return (state.events, state.signal, state.isTick)
        }
    }

    func takeEvents() -> [SubscriptionEvent] {
        state.withLock { state in
            defer { state.events = [] }
            return state.events
        }
    }
}
