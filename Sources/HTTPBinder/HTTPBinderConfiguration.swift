package import HTTPClient

/// Which Carillon an `HTTPBinder` talks to, and how patiently.
package struct HTTPBinderConfiguration: Sendable {
    /// The server, without `/channels`: `http://carillon:8888`.
    package var url: String
    /// Sent as `Authorization: Bearer …`; nil sends none. Read anew for each request, so that it can change.
    package var token: @Sendable () -> String?
    /// How long a publish tries to reach the server and waits for its confirm.
    package var publishLimit: Duration
    /// How long the server keeps a delivery for this process without hearing of it.
    package var lease: Duration
    /// How long one pull waits at the server.
    package var wait: Duration
    /// The first pause before connecting again; each further one is twice as long, with jitter.
    package var firstPause: Duration
    package var longestPause: Duration
    /// Bytes of one event, as a line of an event stream.
    package var eventBytes: Int
    package var client: HTTPClientConfiguration

    package init(
        url: String, token: @escaping @Sendable () -> String? = { nil }, publishLimit: Duration = .seconds(10),
        lease: Duration = .seconds(30),
        wait: Duration = .seconds(20), firstPause: Duration = .milliseconds(100), longestPause: Duration = .seconds(5),
        eventBytes: Int = 32 << 20, client: HTTPClientConfiguration = HTTPClientConfiguration()
    ) {
        self.url = url
        self.token = token
        self.publishLimit = publishLimit
        self.lease = lease
        self.wait = wait
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.eventBytes = eventBytes
        self.client = client
    }
}
