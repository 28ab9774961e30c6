import CMicroHTTPD
import HTTP

/// An answer in the library's own form. It counts references: one is queued for as many connections as ask for it.
final class PreparedResponse: @unchecked Sendable {  // complete after init; the library counts its references under a lock of its own
    let pointer: OpaquePointer
    let status: UInt32

    /// Copies the body once. `closing`: the client is told that the connection ends. Nil when there is no memory for it, or `response` is a stream.
    init?(_ response: HTTPResponse, closing: Bool) {
        guard let bytes = response.bytes else { return nil }
        let pointer = bytes.withUnsafeBytes {
            MHD_create_response_from_buffer($0.count, UnsafeMutableRawPointer(mutating: $0.baseAddress), .RESPMEM_MUST_COPY)
        }
        guard let pointer else { return nil }
        self.pointer = pointer
        status = ResponseHeader.status(of: response)
        // Of a 304 the length is that of the body which it does not carry; left to itself the library says 0, which a cache may believe.
        if response.status == 304, let length = response.headers["Content-Length"], UInt64(length) != nil {
            carillon_mhd_allow_length(pointer)
            MHD_add_response_header(pointer, "Content-Length", length)
        }
        ResponseHeader.add(response.headers, to: pointer, closing: closing)
    }

    deinit { MHD_destroy_response(pointer) }
}

enum ResponseHeader {
    /// 500 for what no client could read: the library would abort the connection.
    static func status(of response: HTTPResponse) -> UInt32 { (200...599).contains(response.status) ? UInt32(response.status) : 500 }

    /// Framing is the library's: such fields of `headers` are left out, as is a field with a line break, which would begin another one.
    static func add(_ headers: HTTPHeaders, to response: OpaquePointer, closing: Bool) {
        var closing = closing
        for (name, value) in headers.fields {
            if HTTPHeaders.same(name, "Connection") {
                closing = closing || HTTPHeaders.same(value, "close")
            } else if !["Content-Length", "Transfer-Encoding", "Date"].contains(where: { HTTPHeaders.same($0, name) }), !value.isEmpty {
                MHD_add_response_header(response, name, value)
            }
        }
        if closing { MHD_add_response_header(response, "Connection", "close") }
    }
}
