import Glibc

/// Where an `HTTPServer` listens, with what certificate, and what it bears from its clients.
package struct HTTPServerConfiguration: Sendable {
    /// A numeric address or a name of this host. Loopback by default: listening elsewhere is a decision.
    package var address: String
    /// 0: any free port; `HTTPServer.port` tells which.
    package var port: Int
    package var tls: HTTPServerTLS?
    package var limits: HTTPServerLimits
    /// Threads that read, parse and write.
    package var threads: Int
    /// How long requests in hand may take to end after shutdown was asked for.
    package var drainTime: Duration

    package init(
        address: String = "127.0.0.1", port: Int = 8888, tls: HTTPServerTLS? = nil, limits: HTTPServerLimits = HTTPServerLimits(),
        threads: Int = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), drainTime: Duration = .seconds(10)
    ) {
        self.address = address
        self.port = port
        self.tls = tls
        self.limits = limits
        self.threads = threads
        self.drainTime = drainTime
    }
}

/// TLS 1.2 and 1.3. All texts are the contents of PEM files, not their paths.
package struct HTTPServerTLS: Sendable {
    package enum ClientCertificates: Sendable {
        /// Who shows none, or one that the authority has not signed, is answered 403.
        case required
        /// Who shows none is served (`HTTPRequest.clientCertificate` is nil then); one that does not hold is answered 403.
        case asked
    }
    /// The server's certificate, followed by those between it and a root.
    package var certificate: String
    package var key: String
    /// The authorities whose client certificates are accepted; nil: clients are not asked for one.
    package var clientCA: String?
    package var clientCertificates: ClientCertificates

    package init(certificate: String, key: String, clientCA: String? = nil, clientCertificates: ClientCertificates = .required) {
        self.certificate = certificate
        self.key = key
        self.clientCA = clientCA
        self.clientCertificates = clientCertificates
    }
}

/// What a server bears before it refuses a request or cuts a connection.
package struct HTTPServerLimits: Sendable {
    /// From the first moment of a connection, or from a request line, to the end of the header fields; also bounds the TLS handshake.
    package var headerTime: Duration = .seconds(10)
    /// Request line and header fields together; more is answered 431. The library's memory for a connection is 4 KiB more.
    package var headerBytes = 12 << 10
    /// Number of header fields; more is answered 431.
    package var headerFields = 100
    /// From the end of an answer to the next request line.
    package var idleTime: Duration = .seconds(60)
    /// A longer body is answered 413.
    package var bodyBytes = 1 << 20
    /// How much of a body that is refused is read and thrown away, so that its sender gets to read the answer.
    package var discardedBytes = 16 << 20
    /// A body may be slow for this long, then it has to have come with `bodyRate` on the average.
    package var bodyGrace: Duration = .seconds(10)
    /// Bytes a second.
    package var bodyRate = 512
    /// A client may be slow to take an answer for this long, then it has to take `sendRate` in each such time.
    package var sendGrace: Duration = .seconds(10)
    /// Bytes a second.
    package var sendRate = 512
    /// What a streamed body may be ahead of its reader; `BodyWriter.write` waits while it is full.
    package var streamBuffer = 64 << 10
    /// Connections at a time; further ones are closed at once. The process's soft limit of open files is raised towards what that needs.
    package var connections = 8192

    package init() {}
}
