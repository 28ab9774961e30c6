/// Why a server could not start; the text names the thing, the place and the remedy.
package enum HTTPServerError: Error, Sendable, Hashable, CustomStringConvertible {
    case portTaken(address: String, port: Int)
    case portForbidden(address: String, port: Int)
    case addressUnknown(address: String, reason: String)
    case cannotListen(address: String, port: Int, reason: String)
    case certificate(reason: String)
    case clientAuthority(reason: String)
    case libraryStart
    case headerLayout(String)

    package var description: String {
        switch self {
        case .portTaken(let address, let port):
            "cannot listen on \(address):\(port): another process listens there; end it, or choose another port (server.port, --port; 0 is any free one)"
        case .portForbidden(let address, let port):
            "cannot listen on \(address):\(port): this user may not use that port; choose one above 1023 (server.port, --port), or grant CAP_NET_BIND_SERVICE"
        case .addressUnknown(let address, let reason):
            "cannot listen on \(address): \(reason); give an address of this host (server.address), such as 127.0.0.1 or 0.0.0.0"
        case .cannotListen(let address, let port, let reason): "cannot listen on \(address):\(port): \(reason)"
        case .certificate(let reason):
            "the server's certificate and key cannot be used: \(reason); both must be PEM and belong together (server.tls.certificate, server.tls.key)"
        case .clientAuthority(let reason):
            "the authorities of client certificates cannot be used: \(reason); give PEM certificates (server.tls.client-ca)"
        case .libraryStart: "libmicrohttpd did not start: not enough memory, threads or open files for this process"
        case .headerLayout(let what):
            "this libmicrohttpd lays out request headers in another way than 0.9.75 (\(what)): malformed requests could not be told from good ones, so nothing is served; install libmicrohttpd 0.9.75"
        }
    }
}
