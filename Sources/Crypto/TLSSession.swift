internal import COpenSSL

/// The client's side of one TLS connection, without a socket: bytes of the wire go in and out, plaintext comes out and goes in. TLS 1.2 and
/// 1.3. For one thread.
///
/// What was written before the handshake is done waits for it. Call `advance` after each `feed` and before each `takeOutput`.
package final class TLSSession {
    private let context: OpaquePointer
    private let session: OpaquePointer
    /// From the wire, and to it; the session owns both.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private let host: String
    private var unwritten: [UInt8] = []

    /// Throws for files that cannot be read, naming them.
    package init(host: String, options: TLSOptions) throws(TLSError) {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw TLSError(description: "TLS cannot be had: \(Self.reason())") }
        var isComplete = false
        defer { if !isComplete { SSL_CTX_free(context) } }
        _ = carillon_tls_minimum(context)
        carillon_tls_modes(context)
        if let file = options.authorityFile {
            guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
                throw TLSError(description: "\(file) holds no certificates of authorities that can be read: \(Self.reason())")
            }
        } else if options.verifiesPeer {
            SSL_CTX_set_default_verify_paths(context)
        }
        if let file = options.certificateFile {
            guard SSL_CTX_use_certificate_chain_file(context, file) == 1 else {
                throw TLSError(description: "\(file) holds no certificate that can be read: \(Self.reason())")
            }
            let key = options.keyFile ?? file
            guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, SSL_CTX_check_private_key(context) == 1 else {
                throw TLSError(description: "\(key) holds no key that belongs to the certificate in \(file): \(Self.reason())")
            }
        }
        SSL_CTX_set_verify(context, options.verifiesPeer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        guard let session = SSL_new(context) else { throw TLSError(description: "TLS cannot be had: \(Self.reason())") }
        defer { if !isComplete { SSL_free(session) } }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            throw TLSError(description: "no memory for TLS")
        }
        SSL_set_bio(session, incoming, outgoing)
        try Self.expect(host, of: session, options)
        SSL_set_connect_state(session)
        isComplete = true
        self.context = context
        self.session = session
        self.incoming = incoming
        self.outgoing = outgoing
        self.host = host
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    /// Asks for the host by name, and checks that the certificate is for it.
    private static func expect(_ host: String, of session: OpaquePointer, _ options: TLSOptions) throws(TLSError) {
        let parameters = SSL_get0_param(session)
        let isAddress = host.contains(":") || host.allSatisfy { $0 == "." || ("0"..."9").contains($0) }
        if !isAddress { _ = carillon_tls_server_name(session, host) }
        guard options.verifiesPeer, options.verifiesHost else { return }
        let isSet = isAddress ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host) : X509_VERIFY_PARAM_set1_host(parameters, host, 0)
        guard isSet == 1 else { throw TLSError(description: "\(host) is no name that a certificate could hold") }
    }

    package var isEstablished: Bool { SSL_is_init_finished(session) == 1 }

    /// Takes what came from the wire.
    package func feed(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        _ = BIO_write(incoming, bytes.baseAddress, Int32(clamping: bytes.count))  // a memory BIO takes all
    }

    /// Keeps plaintext for the peer; it goes out with `advance`.
    package func write(_ bytes: [UInt8]) { unwritten.append(contentsOf: bytes) }

    /// Goes on with the handshake, and encrypts what waits. Throws when the peer is not who it should be, or speaks no TLS.
    package func advance() throws(TLSError) {
        ERR_clear_error()
        if !isEstablished {
            let result = SSL_do_handshake(session)
            if result != 1 {
                try check(result, "TLS with \(host) failed")
                return
            }
        }
        var written = 0
        while written < unwritten.count {
            let result = unwritten.withUnsafeBytes { bytes in
                SSL_write(session, bytes.baseAddress.map { $0 + written }, Int32(clamping: bytes.count - written))
            }
            guard result > 0 else {
                try check(result, "writing to \(host) over TLS failed")
                break
            }
            written += Int(result)
        }
        if written == unwritten.count { unwritten.removeAll(keepingCapacity: true) } else { unwritten.removeFirst(written) }
    }

    /// Adds the plaintext that came since the last call. Throws when the peer has ended the session or broken the protocol.
    package func read(into plain: inout [UInt8]) throws(TLSError) {
        guard isEstablished else { return }
        ERR_clear_error()
        let piece = 16_384
        while true {
            let start = plain.count
            plain.append(contentsOf: repeatElement(0, count: piece))
            let result = plain.withUnsafeMutableBytes { SSL_read(session, $0.baseAddress.map { $0 + start }, Int32(piece)) }
            plain.removeLast(piece - Int(max(0, result)))
            guard result > 0 else {
                try check(result, "reading from \(host) over TLS failed")
                return
            }
        }
    }

    package var hasOutput: Bool { carillon_bio_pending(outgoing) > 0 || (isEstablished && !unwritten.isEmpty) }

    /// Adds what must go to the wire.
    package func takeOutput(into wire: inout [UInt8]) {
        let count = Int(carillon_bio_pending(outgoing))
        guard count > 0 else { return }
        let start = wire.count
        wire.append(contentsOf: repeatElement(0, count: count))
        let taken = wire.withUnsafeMutableBytes { BIO_read(outgoing, $0.baseAddress.map { $0 + start }, Int32(count)) }
        wire.removeLast(count - Int(max(0, taken)))
    }

    /// Returns where only more bytes of the wire are needed.
    private func check(_ result: Int32, _ what: String) throws(TLSError) {
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        case SSL_ERROR_ZERO_RETURN: throw TLSError(description: "\(host) ended the TLS session")
        default:
            let verdict = SSL_get_verify_result(session)
            guard verdict == Int(X509_V_OK) else {
                let text = X509_verify_cert_error_string(verdict).map { String(cString: $0) } ?? "error \(verdict)"
                throw TLSError(description: "\(what): its certificate is not accepted: \(text)")
            }
            throw TLSError(description: "\(what): \(Self.reason())")
        }
    }

    /// What OpenSSL said last on this thread.
    private static func reason() -> String {
        let code = ERR_get_error()
        guard code != 0 else { return "no reason given" }
        return ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
