import Glibc

/// Sockets of this process that are connected to a port.
///
/// libssh2 waits again when a signal interrupts it, and libgit2 shows nobody its socket: what a look at an ssh server has opened is found by its port
/// and cut. Nothing else in the process speaks to that port but other looks; one that is cut by mistake is made again.
enum ConnectedSockets {
    static func descriptors(to port: UInt16) -> Set<Int32> {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var found: Set<Int32> = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let descriptor = Int32(name), peerPort(of: descriptor) == port { found.insert(descriptor) }
        }
        return found
    }

    private static func peerPort(of descriptor: Int32) -> UInt16? {
        var address = sockaddr_in6()  // the port lies at the same place in both families
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let named = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) == 0 }
        }
        guard named, [sa_family_t(AF_INET), sa_family_t(AF_INET6)].contains(address.sin6_family) else { return nil }
        return UInt16(bigEndian: address.sin6_port)
    }
}
