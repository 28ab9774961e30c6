/// Why the server for KEDA could not start; the text names the thing, the place and the remedy.
package enum ScalerServerError: Error, Sendable, Hashable, CustomStringConvertible {
    case notAnAddress(String)
    case open(String)
    case portTaken(String)
    case portForbidden(String)
    case addressUnknown(String, reason: String)
    case cannotListen(String, reason: String)
    case tls(reason: String)
    case library(reason: String)
    case libraryStart

    package var description: String {
        switch self {
        case .notAnAddress(let listen):
            "`\(listen)` is no address to listen on: give HOST:PORT, such as 127.0.0.1:9500 or [::1]:9500 (scaling.keda.listen)"
        case .open(let listen):
            "\(listen) can be reached from other machines, and anybody there could ask: give scaling.keda.tls with certificate, key and client-ca, listen on 127.0.0.1, or say scaling.keda.plaintext: true where the network is trusted"
        case .portTaken(let place):
            "cannot listen on \(place) for KEDA: another process listens there; end it, or choose another port (scaling.keda.listen)"
        case .portForbidden(let place):
            "cannot listen on \(place) for KEDA: this user may not use that port; choose one above 1023 (scaling.keda.listen), or grant CAP_NET_BIND_SERVICE"
        case .addressUnknown(let host, let reason):
            "cannot listen on \(host) for KEDA: \(reason); give an address of this host (scaling.keda.listen), such as 127.0.0.1:9500"
        case .cannotListen(let place, let reason): "cannot listen on \(place) for KEDA (scaling.keda.listen): \(reason)"
        case .tls(let reason):
            "TLS for KEDA cannot be had: \(reason); give PEM files that belong together (scaling.keda.tls: certificate, key, client-ca)"
        case .library(let reason): "KEDA cannot be served without libgrpc: \(reason); apt-get install libgrpc29, or leave out scaling.keda"
        case .libraryStart: "libgrpc did not start: not enough memory, threads or open files for this process"
        }
    }
}
