internal import Dispatch
internal import HTTP
internal import HTTPClient
internal import Streams

/// A broadcast subscription: an event stream that is opened again behind the last event that came.
final class BroadcastSubscription: DeliverySource {
    private let channel: ChannelClient
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

    func next() async throws(BinderError) -> ReceivedEnvelope? {
        switch await buffer.take() {
        case .ended: return nil
        case .cancelled: throw BinderError(.cancelled, "waiting for a delivery was cancelled")
        case .failed(let error): throw error
        case .item(let item):
            return ReceivedEnvelope(
                envelope: item.envelope, attempt: item.attempt, position: item.position,
                settlement: BroadcastSettlement(subscription: self, number: item.number))
        }
    }

    /// Nobody but this subscription is concerned: what is to be tried again is kept here.
    func settle(_ number: UInt64, _ outcome: DeliveryOutcome) {
        guard var item = buffer.settle(number), case .retry(let delay) = outcome else { return }
        item.attempt += 1
        guard delay > .zero else { return buffer.add([item], first: true) }
        let (seconds, attoseconds) = delay.components
        let nanoseconds = Int(clamping: min(seconds, 1 << 32) * 1_000_000_000 + attoseconds / 1_000_000_000)
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { @Sendable [buffer, item] in
            buffer.add([item], first: true)
        }
    }

    /// Reads until cancelled or refused for good.
    func read() async {
        var backOff = BackOff(first: channel.configuration.firstPause, longest: channel.configuration.longestPause)
        var lastID: String?
        while !Task.isCancelled {
            let failure: BinderError
            do throws(BinderError) {
                try await readStream(&lastID) { backOff.reset() }
                failure = BinderError(.unreachable, "\(channel.server) has ended the event stream")
            } catch { failure = error }
            guard !Task.isCancelled else { return }
            if [.invalid, .refused, .conflict].contains(failure.code), state.refuse(failure) { return }
            state.interrupted(failure.message)
            try? await Task.sleep(for: backOff.pause())
        }
    }

    private func readStream(_ lastID: inout String?, onReady: () -> Void) async throws(BinderError) {
        var request = channel.request("GET", destination, query: lastID == nil ? Self.query(options.start) : [])
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

    private static func query(_ start: StartPosition) -> [(String, String)] {
        switch start {
        case .latest: []
        case .earliest: [("after", "earliest")]
        case .after(let position): [("after", position)]
        case .time(let time): [("after", padded(time))]
        }
    }

    /// At least twelve digits, by which the server knows a time.
    private static func padded(_ time: Int64) -> String {
        let text = String(max(0, time))
        return String(repeating: "0", count: max(0, 12 - text.count)) + text
    }
}

struct BroadcastSettlement: DeliverySettlement {
    let subscription: BroadcastSubscription
    let number: UInt64

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) { subscription.settle(number, outcome) }
    func abandon() { subscription.settle(number, .retry(after: .zero)) }
}
