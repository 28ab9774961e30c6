internal import CGRPC
import Glibc

/// A numeric address and port on this host.
struct ScalerPlace: Sendable, Hashable {
    let address: String
    let port: Int

    /// Resolves a name, which may block.
    init(_ listener: ScalerListener) throws(ScalerServerError) {
        var room = [CChar](repeating: 0, count: 128)
        let failed = carillon_grpc_resolve(listener.host, &room, room.count)
        guard failed == 0 else { throw .addressUnknown(listener.host, reason: String(cString: gai_strerror(failed))) }
        address = String(decoding: room.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        port = listener.port
    }

    init(address: String, port: Int) {
        self.address = address
        self.port = port
    }

    /// As people and libgrpc write it.
    var text: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// Why nobody can listen there, which libgrpc only logs. Blocks.
    var problem: ScalerServerError {
        switch carillon_grpc_listen_problem(address, Int32(port)) {
        case EADDRINUSE: .portTaken(text)
        case EACCES: .portForbidden(text)
        case EADDRNOTAVAIL: .addressUnknown(address, reason: "this host does not have it")
        case 0: .cannotListen(text, reason: "libgrpc could not, and the port is free: look at its log lines (level debug)")
        case let code: .cannotListen(text, reason: String(cString: strerror(code)))
        }
    }

    /// Whether somebody takes what connects there; nil when it cannot be tried. Blocks.
    func isServed(within milliseconds: Int32) -> Bool? {
        let host = ["0.0.0.0": "127.0.0.1", "::": "::1"][address] ?? address
        let served = carillon_grpc_is_served(host, Int32(port), milliseconds)
        return served < 0 ? nil : served == 1
    }
}
