import Foundation

/// A port on loopback that nobody uses at the moment, from a range that the system does not take for outgoing connections: a server that is
/// stopped finds its port free when it starts again.
package func freePort() -> Int {
    for _ in 0..<1000 {
        let port = Int.random(in: 20_000..<32_000)
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isFree = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isFree { return port }
    }
    return 0
}
