internal import HTTPClient

/// The bounds of push subscriptions, and whom they may send to.
package struct PushSettings: Sendable {
    /// Where subscriptions are kept; nil: in memory only.
    package var file: String?
    /// Subscriptions on this server; one more is answered 429.
    package var subscriptions: Int
    /// The largest concurrency and time limit that a subscription may ask for.
    package var concurrency: Int
    package var longestTimeout: Duration
    /// Whether events may be sent to loopback, private and link-local addresses.
    package var allowsPrivate: Bool
    /// The hosts that events may be sent to, `*.example.org` for all below one; nil: any.
    package var hosts: [String]?
    /// What requests of subscriptions without a secret of their own are signed with.
    package var secret: String?
    /// The pause before an event is sent again; each further one is twice as long.
    package var firstPause: Duration
    package var longestPause: Duration
    /// The longest pause that a subscriber may ask for by `Retry-After`.
    package var longestRetryAfter: Duration

    package init(
        file: String? = nil, subscriptions: Int = 1000, concurrency: Int = 64, longestTimeout: Duration = .seconds(300),
        allowsPrivate: Bool = true, hosts: [String]? = nil, secret: String? = nil, firstPause: Duration = .seconds(1),
        longestPause: Duration = .seconds(60), longestRetryAfter: Duration = .seconds(3600)
    ) {
        self.file = file
        self.subscriptions = subscriptions
        self.concurrency = concurrency
        self.longestTimeout = longestTimeout
        self.allowsPrivate = allowsPrivate
        self.hosts = hosts
        self.secret = secret
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.longestRetryAfter = longestRetryAfter
    }

    /// Throws where events must not be sent to this URL. Addresses behind names are looked at when a connection is made: names change.
    func check(url: String) throws {
        guard let host = HTTPClientRequest.host(of: url) else {
            throw ChannelError(
                400, "invalid", "\"url\" must be an absolute http or https URL, not \(HTTPClientRequest.shown(url).prefix(200))")
        }
        if let hosts, !hosts.contains(where: { Self.matches($0.lowercased(), host) }) {
            throw ChannelError(403, "refused", "\"url\" names the host \(host), which `channels: push: hosts:` of this server does not")
        }
        if !allowsPrivate, let isPublic = NetworkAddress(host)?.isPublic, !isPublic {
            throw ChannelError(
                403, "refused",
                "\"url\" names the private address \(host): `channels: push: allow-private: true` of this server would allow it")
        }
    }

    private static func matches(_ pattern: String, _ host: String) -> Bool {
        pattern.hasPrefix("*.") ? host.hasSuffix(pattern.dropFirst()) : host == pattern
    }
}
