internal import CGRPC
import Crypto
import Files

/// What the server shows and asks of clients, for the library.
final class ServerCredentials {
    let raw: OpaquePointer

    /// Reads the files of `tls`, which blocks.
    init(_ tls: ScalerListener.TLS?) throws(ScalerServerError) {
        let raw = try tls.map(Self.secure) ?? grpc_insecure_server_credentials_create()
        guard let raw else { throw .libraryStart }
        self.raw = raw
    }

    deinit { grpc_server_credentials_release(raw) }

    private static func secure(_ tls: ScalerListener.TLS) throws(ScalerServerError) -> OpaquePointer? {
        // The library takes anything here, and then only says that it cannot listen.
        do throws(TLSError) {
            _ = try TLSSession(
                host: "localhost",
                options: TLSOptions(authorityFile: tls.clientCA, certificateFile: tls.certificate, keyFile: tls.key))
        } catch { throw .tls(reason: error.description) }
        let (certificate, key) = (try text(tls.certificate), try text(tls.key))
        let authorities = try tls.clientCA.map(text)
        return certificate.withCString { certificate in
            key.withCString { key in
                var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: certificate)
                guard let authorities else {
                    return grpc_ssl_server_credentials_create_ex(nil, &pair, 1, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, nil)
                }
                return grpc_ssl_server_credentials_create_ex(
                    authorities, &pair, 1, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, nil)
            }
        }
    }

    private static func text(_ path: String) throws(ScalerServerError) -> String {
        do {
            guard let bytes = try PrivateFile.read(path, limit: 1 << 20) else {
                throw ScalerServerError.tls(reason: "there is no file \(path)")
            }
            return String(decoding: bytes, as: UTF8.self)
        } catch { throw error as? ScalerServerError ?? .tls(reason: "\(error)") }
    }
}
