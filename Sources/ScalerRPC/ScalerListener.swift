internal import Identity

/// Where KEDA may ask, and what is asked of those who do (`scaling.keda` of the settings).
package struct ScalerListener: Sendable, Hashable {
    /// Paths of PEM files.
    package struct TLS: Sendable, Hashable {
        package var certificate: String
        package var key: String
        /// The authorities one of which has to have signed a client's certificate; nil: clients show none.
        package var clientCA: String?

        package init(certificate: String, key: String, clientCA: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientCA = clientCA
        }
    }

    /// A numeric address or a name of this host.
    package let host: String
    /// 0: any free one.
    package let port: Int
    package let tls: TLS?

    /// `listen` is HOST:PORT; an IPv6 address stands in brackets. Beyond loopback only those are heard who show a certificate, unless `isPlaintext`
    /// says that the network is trusted: Debian's libgrpc gets no security fixes.
    package init(listen: String, tls: TLS? = nil, isPlaintext: Bool = false) throws(ScalerServerError) {
        guard let colon = listen.lastIndex(of: ":"), let port = UInt16(listen[listen.index(after: colon)...]) else {
            throw .notAnAddress(listen)
        }
        var host = String(listen[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw .notAnAddress(listen)
        }
        guard !host.isEmpty else { throw .notAnAddress(listen) }
        guard AccessPolicy.isLoopbackAddress(host) || tls?.clientCA != nil || isPlaintext else { throw .open(listen) }
        self.host = host
        self.port = Int(port)
        self.tls = tls
    }
}

/// What the server bears from its clients.
package struct ScalerLimits: Sendable, Hashable {
    /// Bytes of a request; a longer one is answered RESOURCE_EXHAUSTED.
    package var message = 64 << 10
    /// Bytes of a call's metadata.
    package var metadata = 16 << 10
    /// Streams at a time, of all clients, some 27 KB each; further ones are answered RESOURCE_EXHAUSTED.
    package var streams = 4096
    /// Calls at a time beside the streams, so that these never keep KEDA from polling; further ones wait.
    package var calls = 1024
    /// From the beginning of a call to the end of its request; after that it is answered DEADLINE_EXCEEDED.
    package var requestTime: Duration = .seconds(10)
    /// From the first moment of a connection to the end of the handshakes.
    package var handshakeTime: Duration = .seconds(10)
    /// A peer is asked for a sign of life so often, whether it has calls or not …
    package var keepalive: Duration = .seconds(10)
    /// … and has to give it in this time.
    package var keepaliveTime: Duration = .seconds(5)
    /// How long calls in hand, and clients that are told to leave, may take after shutdown was asked for.
    package var drainTime: Duration = .seconds(5)
    /// How often the server looks whether its own port still takes connections.
    package var probe: Duration = .seconds(10)
    /// How long that may take before it counts as a failure; two in turn make the server listen anew.
    package var probeTime: Duration = .seconds(3)

    package init() {}
}
