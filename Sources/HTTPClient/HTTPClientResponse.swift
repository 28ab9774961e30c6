package import HTTP

/// A whole answer.
package struct HTTPClientResponse: Sendable {
    /// Status and header fields; all that is known when a stream begins.
    package struct Head: Sendable {
        package var status: Int
        package var headers: HTTPHeaders
        package init(status: Int, headers: HTTPHeaders = [:]) {
            self.status = status
            self.headers = headers
        }
        /// 200 to 299.
        package var isSuccess: Bool { (200...299).contains(status) }
    }

    package var head: Head
    package var body: [UInt8]

    package init(head: Head, body: [UInt8]) {
        self.head = head
        self.body = body
    }

    package var status: Int { head.status }
    package var headers: HTTPHeaders { head.headers }
    package var isSuccess: Bool { head.isSuccess }
    /// The body as text; what is not UTF-8 in it becomes U+FFFD.
    package var text: String { String(decoding: body, as: UTF8.self) }
}
