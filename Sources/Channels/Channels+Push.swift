internal import HTTP
internal import Streams

extension Channels {
    /// Sets up, or changes, the group's push subscription. The group exists from then on.
    func putPush(_ request: HTTPRequest, _ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        let subscription = try PushSubscription(destination, group, wire: try Self.object(request), settings: settings.push)
        try settings.push.check(url: subscription.url)
        try await limited(settings.confirmLimit) { [binder] () async throws(BinderError) in
            try await binder.prepare(group: group, of: destination)
        }
        return .json(200, try await pushers.put(subscription).shown)
    }

    func push(_ destination: Destination, _ group: ConsumerGroup) throws -> HTTPResponse {
        guard let pusher = pushers.pusher(.init(destination: destination, group: group)) else { throw noPush(destination, group) }
        return .json(200, pusher.shown)
    }

    func deletePush(_ destination: Destination, _ group: ConsumerGroup) async throws -> HTTPResponse {
        guard try await pushers.remove(.init(destination: destination, group: group)) else { throw noPush(destination, group) }
        return HTTPResponse(204)
    }

    private func noPush(_ destination: Destination, _ group: ConsumerGroup) -> ChannelError {
        ChannelError(404, "unknown", "\(group) of \(destination) has no push subscription; PUT one here")
    }
}
