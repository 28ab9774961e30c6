import CMicroHTTPD

/// What a connection's client has shown of itself. libmicrohttpd only asks for a certificate: whether it holds is looked at here.
enum ClientCertificate: Sendable, Equatable {
    case notSecure
    case notShown
    /// Signed by an authority of the configuration and in its time: the subject's distinguished name (RFC 4514).
    case verified(subject: String)
    case invalid

    /// Of the session of a connection whose handshake is over.
    init(of connection: OpaquePointer) {
        guard let session = carillon_mhd_tls(connection) else {
            self = .notSecure
            return
        }
        var count: UInt32 = 0
        guard let chain = gnutls_certificate_get_peers(session, &count), count > 0 else {
            self = .notShown
            return
        }
        var status: UInt32 = 0
        guard gnutls_certificate_verify_peers2(session, &status) == 0, status == 0, let subject = Self.subject(of: chain) else {
            self = .invalid
            return
        }
        self = .verified(subject: subject)
    }

    private static func subject(of encoded: UnsafePointer<gnutls_datum_t>) -> String? {
        var certificate: gnutls_x509_crt_t?
        guard gnutls_x509_crt_init(&certificate) == 0, let certificate else { return nil }
        defer { gnutls_x509_crt_deinit(certificate) }
        var text = gnutls_datum_t()
        guard gnutls_x509_crt_import(certificate, encoded, GNUTLS_X509_FMT_DER) == 0, gnutls_x509_crt_get_dn3(certificate, &text, 0) == 0,
            let data = text.data
        else { return nil }
        defer { carillon_gnutls_free(data) }
        return String(decoding: UnsafeBufferPointer(start: data, count: Int(text.size)), as: UTF8.self)
    }
}
