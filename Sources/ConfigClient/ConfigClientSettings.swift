/// Where a client gets its configuration, and how.
public struct ConfigClientSettings: Sendable {
    /// Basic authentication. Never shown by `description`.
    public struct Credentials: Sendable, CustomStringConvertible {
        public var user: String
        public var password: String
        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }
        public var description: String { "\(user):***" }
    }

    /// TLS of `https` servers; PEM files.
    public struct TLS: Sendable {
        /// Certificates that are trusted; nil: those of the system.
        public var authorityFile: String?
        public var certificateFile: String?
        public var keyFile: String?
        public init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    /// `http` or `https` URLs, tried in this order; one that failed a moment ago is tried last. May carry credentials and a path prefix.
    public var servers: [String]
    /// Comma-separated where the configuration of several applications is wanted.
    public var application: String
    /// `default` where none is named.
    public var profiles: [String]
    /// Branch, tag or commit; nil: the server's default.
    public var label: String?
    /// Sent as `Authorization: Bearer …`.
    public var token: String?
    public var credentials: Credentials?
    /// Added to each request.
    public var headers: [String: String]
    public var tls: TLS
    /// How long a connection may take to stand.
    public var connectLimit: Duration
    /// How long one server may take for its whole answer.
    public var requestLimit: Duration
    /// The folder of the last known good, made with mode 0700 where it is missing; nil: nothing is kept on disk.
    public var cacheFolder: String?
    /// How often the server is asked without an event: the safety net under the bus. Zero: never.
    public var pollInterval: Duration
    /// After an event each instance waits a random time up to this before it asks, so that a fleet does not ask at once.
    public var spread: Duration
    /// How often a failed refresh is tried again before it counts as failed; each wait is longer, up to 5 s, and random.
    public var attempts: Int

    public init(
        servers: [String] = ["http://127.0.0.1:8888"], application: String, profiles: [String] = [], label: String? = nil,
        token: String? = nil,
        credentials: Credentials? = nil, headers: [String: String] = [:], tls: TLS = TLS(), connectLimit: Duration = .seconds(5),
        requestLimit: Duration = .seconds(30), cacheFolder: String? = nil, pollInterval: Duration = .seconds(60),
        spread: Duration = .milliseconds(200), attempts: Int = 5
    ) {
        self.servers = servers
        self.application = application
        self.profiles = profiles
        self.label = label
        self.token = token
        self.credentials = credentials
        self.headers = headers
        self.tls = tls
        self.connectLimit = connectLimit
        self.requestLimit = requestLimit
        self.cacheFolder = cacheFolder
        self.pollInterval = pollInterval
        self.spread = spread
        self.attempts = attempts
    }
}

extension ConfigClientSettings: CustomStringConvertible {
    /// Application, profiles and label: neither token nor credentials, which may also stand in headers and servers.
    public var description: String {
        "\(application)/\(profiles.isEmpty ? "default" : profiles.joined(separator: ","))\(label.map { "/\($0)" } ?? "")"
    }
}
