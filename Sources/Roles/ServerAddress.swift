import Glibc
import Settings

extension CarillonSettings {
    /// Under which processes on this machine reach the server.
    var localURL: String {
        let host: String
        switch server.address {
        case "0.0.0.0", "": host = "127.0.0.1"
        case "::": host = "[::1]"
        case let address: host = address.contains(":") ? "[\(address)]" : address
        }
        return "\(server.tls == nil ? "http" : "https")://\(host):\(server.port)"
    }

    /// A port that is free now, where any is asked for: workers are told theirs before the server listens.
    mutating func choosePort() {
        guard server.port == 0 else { return }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        if bound { server.port = Int(UInt16(bigEndian: address.sin_port)) }
    }
}
