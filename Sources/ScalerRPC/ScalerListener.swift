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
