import CMicroHTTPD
import Glibc

extension HTTPServerTLS {
    /// Throws with GnuTLS's reason when the texts cannot be used; the library itself would only say that it did not start.
    func check() throws(HTTPServerError) {
        var credentials: gnutls_certificate_credentials_t?
        guard gnutls_certificate_allocate_credentials(&credentials) == 0, let credentials else { throw .libraryStart }
        defer { gnutls_certificate_free_credentials(credentials) }
        let pair = Self.withDatum(certificate) { certificate in
            Self.withDatum(key) { key in gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM) }
        }
        guard pair == 0 else { throw .certificate(reason: Self.reason(pair)) }
        guard let clientCA else { return }
        let count = Self.withDatum(clientCA) { gnutls_certificate_set_x509_trust_mem(credentials, &$0, GNUTLS_X509_FMT_PEM) }
        guard count > 0 else { throw .clientAuthority(reason: count == 0 ? "it has no certificate" : Self.reason(count)) }
    }

    private static func reason(_ code: Int32) -> String { String(cString: gnutls_strerror(code)) }

    private static func withDatum<R>(_ text: String, _ body: (inout gnutls_datum_t) -> R) -> R {
        var bytes = Array(text.utf8)
        return bytes.withUnsafeMutableBufferPointer {
            var datum = gnutls_datum_t(data: $0.baseAddress, size: UInt32($0.count))
            return body(&datum)
        }
    }
}
