import Channels
import Identity
import Settings

extension CarillonSettings {
    /// Bounds of the event channels. Push subscriptions are kept in the folder `data`.
    func channelSettings(data: String) -> ChannelSettings {
        var bounds = ChannelSettings()
        bounds.bodyBytes = channels.maximumPayload ?? bounds.bodyBytes
        bounds.batch = channels.maximumBatch ?? bounds.batch
        bounds.streams = channels.streams ?? bounds.streams
        bounds.streamsPerDestination = channels.streamsPerDestination ?? bounds.streamsPerDestination
        bounds.members = channels.members ?? bounds.members
        bounds.pull = channels.maximumPull ?? bounds.pull
        bounds.inHand = max(bounds.inHand, bounds.pull)
        bounds.longestWait = channels.longestWait ?? bounds.longestWait
        bounds.longestLease = channels.longestLease ?? bounds.longestLease
        bounds.lease = min(channels.lease ?? bounds.lease, bounds.longestLease)
        bounds.push.file = data + "/channels/push.json"
        bounds.push.subscriptions = channels.push.subscriptions ?? bounds.push.subscriptions
        bounds.push.concurrency = channels.push.maximumConcurrency ?? bounds.push.concurrency
        bounds.push.longestTimeout = channels.push.longestTimeout ?? bounds.push.longestTimeout
        // Whoever may subscribe from the network must not reach through this server what only this server reaches.
        bounds.push.allowsPrivate = channels.push.allowsPrivate ?? AccessPolicy.isLoopbackAddress(server.address)
        bounds.push.hosts = channels.push.hosts
        bounds.push.secret = channels.push.secret
        return bounds
    }
}
