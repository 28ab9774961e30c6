/// How an `HTTPClient` connects, and what it allows.
package struct HTTPClientConfiguration: Sendable, Hashable {
    /// TLS of `https` URLs. 1.2 is the oldest version that is spoken.
    package struct TLS: Sendable, Hashable {
        /// PEM file with the certificates that are trusted; nil: those of the system.
        package var authorityFile: String?
        /// PEM files with the client's certificate chain and its key.
        package var certificateFile: String?
        package var keyFile: String?
        /// What the three files hold, where it comes from elsewhere: keys that are given as text are not written to a disk for it. Each goes before
        /// its file.
        package var authorityText: [UInt8]?
        package var certificateText: [UInt8]?
        package var keyText: [UInt8]?
        /// Opens the key file where it is encrypted.
        package var keyPassword: String?
        /// Off, anybody can stand between: only for tests against a server whose certificate nobody knows.
        package var verifiesPeer: Bool

        package init(
            authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, keyPassword: String? = nil,
            verifiesPeer: Bool = true
        ) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.keyPassword = keyPassword
            self.verifiesPeer = verifiesPeer
        }
    }

    package enum Proxy: Sendable, Hashable {
        case none
        /// As `http_proxy`, `https_proxy`, `no_proxy` of the process say.
        case environment
        case url(String)
    }

    package var tls: TLS
    package var proxy: Proxy
    /// Whether loopback, private and link-local addresses are refused, whatever name leads to them: for URLs that strangers name. A proxy is not
    /// asked then.
    package var publicAddressesOnly: Bool
    /// `HOST:PORT` that every connection is made to, whatever its URL says; names and certificates stay those of the URL.
    package var connectTo: String?
    /// The socket of the file system that every connection is made to, whatever its URL says; the host in the URL is only what the server is told.
    package var unixSocket: String?
    /// How long a connection may take to stand, name and TLS included.
    package var connectLimit: Duration
    /// How long a whole `send` may take; a request may name its own.
    package var totalLimit: Duration
    /// How long nothing may come while a transfer runs and its reader keeps up; a request may name its own.
    package var idleLimit: Duration
    /// The largest body that `send` takes, in bytes; a request may name its own.
    package var responseLimit: Int
    /// How many redirects are followed for GET and HEAD; 0 follows none.
    package var redirectLimit: Int
    /// Connections to one host at once; what is asked beyond waits, and its time counts.
    package var connectionsPerHost: Int
    /// Bytes that a stream keeps for a reader that is behind; then the connection is not read any more.
    package var streamBuffer: Int
    /// The `User-Agent` of requests that name none.
    package var userAgent: String

    package init(
        tls: TLS = TLS(), proxy: Proxy = .none, publicAddressesOnly: Bool = false, connectLimit: Duration = .seconds(5),
        totalLimit: Duration = .seconds(30), unixSocket: String? = nil,
        idleLimit: Duration = .seconds(45), responseLimit: Int = 16 << 20, redirectLimit: Int = 5, connectionsPerHost: Int = 256,
        streamBuffer: Int = 64 << 10, userAgent: String = "carillon"
    ) {
        self.tls = tls
        self.proxy = publicAddressesOnly ? .none : proxy
        self.publicAddressesOnly = publicAddressesOnly
        self.unixSocket = unixSocket
        self.connectLimit = connectLimit
        self.totalLimit = totalLimit
        self.idleLimit = idleLimit
        self.responseLimit = responseLimit
        self.redirectLimit = redirectLimit
        self.connectionsPerHost = connectionsPerHost
        self.streamBuffer = streamBuffer
        self.userAgent = userAgent
    }
}
