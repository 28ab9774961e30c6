internal import Autoscaler
internal import HTTPClient

/// A Docker engine: on a socket of the file system, or over TCP with what Docker's own client reads from `$DOCKER_CERT_PATH`.
struct SwarmAccess: RemoteAccess {
    private let clients: RemoteClients
    private let address: String

    /// Throws for an address that is none.
    init(_ text: String, certificates: String?, name: String) throws(TargetError) {
        var configuration = HTTPClientConfiguration()
        if text.hasPrefix("unix://") {
            let path = String(text.dropFirst("unix://".count))
            guard path.hasPrefix("/") else {
                throw TargetError(.rejected, "\(name): `\(text)` is no address: unix:///run/docker.sock has three slashes")
            }
            configuration.unixSocket = path
            address = "http://docker"  // newer engines refuse other names on a socket
        } else {
            let isTCP = text.hasPrefix("tcp://")
            let scheme = isTCP ? (certificates == nil ? "http://" : "https://") : ""
            address = try RemoteAddress.http(scheme + (isTCP ? String(text.dropFirst("tcp://".count)) : text), name)
            if let certificates, address.hasPrefix("https://") {
                configuration.tls.authorityFile = certificates + "/ca.pem"
                configuration.tls.certificateFile = certificates + "/cert.pem"
                configuration.tls.keyFile = certificates + "/key.pem"
            }
        }
        clients = .shared(configuration)
    }

    func session(renewed: Bool) async throws(TargetError) -> RemoteSession { RemoteSession(clients: clients, address: address) }
}
