import CMicroHTTPD
import HTTP

/// The fields of a request whose block was checked.
enum RequestHeaders {
    private final class Fields {
        var headers = HTTPHeaders()
    }

    static func all(of connection: OpaquePointer) -> HTTPHeaders {
        let fields = Fields()
        MHD_get_connection_values_n(
            connection, .HEADER_KIND,
            { context, _, name, nameSize, value, valueSize in
                guard let context, let name else { return .YES }
                let fields = Unmanaged<Fields>.fromOpaque(context).takeUnretainedValue()
                func text(_ bytes: UnsafePointer<CChar>?, _ count: Int) -> String {
                    let bytes = UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count)
                    let end = bytes.lastIndex { $0 != 0x20 && $0 != 9 }.map { $0 + 1 } ?? 0  // the library strips blanks in front only
                    return String(decoding: bytes[..<end], as: UTF8.self)
                }
                fields.headers.add(text(name, nameSize), text(value, valueSize))
                return .YES
            }, Unmanaged.passUnretained(fields).toOpaque())
        return withExtendedLifetime(fields) { fields.headers }
    }
}

enum PeerAddress {
    /// The numeric address, without port; empty where it cannot be had.
    static func text(of connection: OpaquePointer) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { room in
            guard carillon_mhd_peer_text(connection, room.baseAddress, room.count) == 0, let text = room.baseAddress else { return "" }
            return String(cString: text)
        }
    }
}
