import CRDKafka
import Glibc

/// Leads the clients' connections elsewhere than to the addresses that the brokers tell of themselves: through a proxy on this machine, say.
/// What the brokers are called stays as it is, for certificates too.
package final class KafkaRoute: Sendable, Hashable {
    /// The port on 127.0.0.1 for the address and port of a broker; nil where there is no way.
    package typealias Port = @Sendable (_ address: String, _ port: Int) -> Int?
    private let port: Port

    package init(_ port: @escaping Port) { self.port = port }

    package static func == (left: KafkaRoute, right: KafkaRoute) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    /// Makes the clients of this configuration take the route; it must live as long as they do.
    func install(in configuration: OpaquePointer) {
        rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(self).toOpaque())
        rd_kafka_conf_set_connect_cb(configuration) { descriptor, address, _, _, opaque in
            guard let address, let opaque else { return EINVAL }
            return Unmanaged<KafkaRoute>.fromOpaque(opaque).takeUnretainedValue().connect(descriptor, insteadOf: address)
        }
    }

    /// On a thread of the library, whose socket does not wait: a connection that is under way is as good as made.
    private func connect(_ descriptor: Int32, insteadOf address: UnsafePointer<sockaddr>) -> Int32 {
        let isIPv6 = Int32(address.pointee.sa_family) == AF_INET6
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let raw = UnsafeRawPointer(address)
        let number: UInt16
        if isIPv6 {
            var six = raw.loadUnaligned(as: sockaddr_in6.self)
            number = UInt16(bigEndian: six.sin6_port)
            inet_ntop(AF_INET6, &six.sin6_addr, &text, socklen_t(text.count))
        } else {
            var four = raw.loadUnaligned(as: sockaddr_in.self)
            number = UInt16(bigEndian: four.sin_port)
            inet_ntop(AF_INET, &four.sin_addr, &text, socklen_t(text.count))
        }
        let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let port = port(name, Int(number)).flatMap(UInt16.init(exactly:)) else { return ECONNREFUSED }
        return isIPv6 ? Self.connectIPv6(descriptor, port) : Self.connectIPv4(descriptor, port)
    }

    private static func connectIPv4(_ descriptor: Int32, _ port: UInt16) -> Int32 {
        var there = sockaddr_in()
        there.sin_family = sa_family_t(AF_INET)
        there.sin_port = port.bigEndian
        there.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &there) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 || errno == EINPROGRESS ? 0 : errno
            }
        }
    }

    /// 127.0.0.1 as a socket of the newer family has it.
    private static func connectIPv6(_ descriptor: Int32, _ port: UInt16) -> Int32 {
        var there = sockaddr_in6()
        there.sin6_family = sa_family_t(AF_INET6)
        there.sin6_port = port.bigEndian
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &there.sin6_addr)
        return withUnsafePointer(to: &there) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0 || errno == EINPROGRESS ? 0 : errno
            }
        }
    }
}
