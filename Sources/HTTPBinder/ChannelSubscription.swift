internal import Lifecycle
internal import Streams

/// What subscriptions of both kinds, broadcast and of a group, have in common.
protocol ChannelSubscription: DeliverySource {
    var channel: ChannelClient { get }
    var buffer: EventBuffer { get }
    var state: SubscriptionState { get }

    /// Reads from the server, and whatever else the subscription lives on, until cancelled, ended or refused for good.
    func serve() async
    /// Tells the server of settlements until `endSettling()`, also when all around is cancelled.
    func sendSettlements() async
    func endSettling()
    /// The last word to the server.
    func leave() async

    func settle(_ number: UInt64, _ outcome: DeliveryOutcome) async throws(BinderError)
    /// Gives a delivery back; `seen`: it counts as an attempt.
    func handBack(_ number: UInt64, seen: Bool)
}

extension ChannelSubscription {
    func sendSettlements() async {}
    func endSettling() {}
    func leave() async {}

    func next() async throws(BinderError) -> ReceivedEnvelope? {
        switch await buffer.take() {
        case .ended: return nil
        case .cancelled: throw BinderError(.cancelled, "waiting for a delivery was cancelled")
        case .failed(let error): throw error
        case .item(let item):
            return ReceivedEnvelope(
                envelope: item.envelope, attempt: item.attempt, position: item.position,
                settlement: ChannelSettlement(subscription: self, number: item.number))
        }
    }

    /// Calls `once` again and again until it returns false, with growing pauses where it throws. What the server refuses for good ends it, as
    /// long as nobody relies on the subscription yet.
    func keepReading(_ once: (inout BackOff) async throws(BinderError) -> Bool) async {
        var backOff = BackOff(first: channel.configuration.firstPause, longest: channel.configuration.longestPause)
        while !Task.isCancelled {
            let failure: BinderError
            do throws(BinderError) {
                guard try await once(&backOff) else { return }
                continue
            } catch { failure = error }
            guard !Task.isCancelled else { return }
            if [.invalid, .refused, .conflict, .unsupported].contains(failure.code), state.refuse(failure) { return }
            state.interrupted(failure.message)
            try? await Task.sleep(for: backOff.next())  // between two tries
        }
    }
}

struct ChannelSettlement: DeliverySettlement {
    let subscription: any ChannelSubscription
    let number: UInt64

    func settle(_ outcome: DeliveryOutcome) async throws(BinderError) { try await subscription.settle(number, outcome) }
    func abandon() { subscription.handBack(number, seen: true) }
    func release() { subscription.handBack(number, seen: false) }
}

extension StartPosition {
    /// As the server's queries name it; nil where nothing needs to be said.
    var query: String? {
        switch self {
        case .latest: return nil
        case .earliest: return "earliest"
        case .after(let position): return position
        case .time(let time):
            // At least twelve digits, by which the server knows a time.
            let text = String(max(0, time))
            return String(repeating: "0", count: max(0, 12 - text.count)) + text
        }
    }
}
