internal import Dispatch
internal import HTTP
internal import HTTPClient
internal import Lifecycle
internal import Streams

/// A broadcast subscription: an event stream that is opened again behind the last event that came.
final class BroadcastSubscription: ChannelSubscription {
    let channel: ChannelClient
    private let destination: Destination
    private let options: SubscriptionOptions
    let buffer: EventBuffer
    let state: SubscriptionState

    init(channel: ChannelClient, destination: Destination, options: SubscriptionOptions) {
        self.channel = channel
        self.destination = destination
        self.options = options
        buffer = EventBuffer(prefetch: options.prefetch)
        state = SubscriptionState(options.events)
    }

    /// Nobody but this subscription is concerned: what is to be tried again is kept here.
    func settle(_ number: UInt64, _ outcome: DeliveryOutcome) async throws(BinderError) { end(number, outcome) }

    func handBack(_ number: UInt64, seen: Bool) { end(number, .retry(after: .zero)) }

    private func end(_ number: UInt64, _ outcome: DeliveryOutcome) {
        guard var item = buffer.settle(number), case .retry(let delay) = outcome else { return }
        item.attempt += 1
        guard delay > .zero else { return buffer.add([item], first: true) }
        let (seconds, attoseconds) = delay.components
        let nanoseconds = Int(clamping: min(seconds, 1 << 32) * 1_000_000_000 + attoseconds / 1_000_000_000)
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { @Sendable [buffer, item] in
            buffer.add([item], first: true)
        }
    }

    func serve() async {
        var lastID: String?
        await keepReading { backOff throws(BinderError) in
            try await readStream(&lastID) { backOff.reset() }
            throw BinderError(.unreachable, "\(channel.server) has ended the event stream")
        }
    }

    private func readStream(_ lastID: inout String?, onReady: () -> Void) async throws(BinderError) {
        var request = channel.request("GET", destination, query: lastID == nil ? options.start.query.map { [("after", $0)] } ?? [] : [])
        request.headers["Accept"] = "text/event-stream"
        if let lastID { request.headers["Last-Event-ID"] = lastID }
        let channel = channel
        do {
            try await channel.client.withStream(request) { head, body in
                guard head.isSuccess else { throw channel.refusal(head.status, (try? await body.collect(upTo: 64 << 10)) ?? []) }
                var parser = ServerSentEventParser(lineLimit: channel.configuration.eventBytes)
                while let bytes = try await body.next() {
                    for event in try parser.feed(bytes) {
                        try await handle(event, &lastID, onReady: onReady)
                        guard !Task.isCancelled else { return }
                    }
                }
            }
        } catch let error as BinderError { throw error } catch let error as HTTPClientError { throw channel.binderError(error) } catch {
            throw BinderError(.broken, "the event stream of \(channel.server) cannot be read: \(error)")
        }
    }

    private func handle(_ event: ServerSentEvent, _ lastID: inout String?, onReady: () -> Void) async throws(BinderError) {
        switch event.event {
        case "ready":
            // Opened again without a position to begin behind: whatever came in between is missed.
            state.ready(missed: lastID == nil)
            lastID = event.id ?? lastID
            onReady()
        case "gap": state.gap()
        case "interrupted": state.interrupted("the broker of \(channel.server) is away")
        case "resumed": state.ready()
        case "error":
            let value = try? WireValue(Array(event.data.utf8))
            let code = value?["error"]?.string
            throw channel.refusal(code == "invalid" ? 400 : 503, Array(event.data.utf8))
        case nil, "message":
            let envelope: Envelope
            do { envelope = try Envelope(wire: try WireValue(Array(event.data.utf8))) } catch {
                throw BinderError(.broken, "an event of \(channel.server) cannot be read: \(error)")
            }
            guard await buffer.room() != nil else { return }
            buffer.add([EventBuffer.Item(envelope: envelope, attempt: 1, position: event.id)])
            lastID = event.id ?? lastID
        default: break  // of a later server
        }
    }
}
