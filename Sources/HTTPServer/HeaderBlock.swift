/// The header of a request as libmicrohttpd 0.9.75 leaves it in its read buffer, and the check that it is exactly what RFC 9112 allows.
///
/// The library accepts what the RFC says to refuse, and its list of headers hides folding and NUL bytes. The raw block shows them: when the
/// handler is first called it still lies in the buffer, from the method's first byte, with these bytes overwritten by NUL: both blanks of the
/// request line, both bytes of each end of line, and the colon after each name. (`HeaderLayoutTest` proves that at start.)
///
///     GET␀/path␀HTTP/1.1␀␀Host␀ a␀␀Accept␀ */*␀␀␀␀
struct HeaderBlock {
    /// The block, from the method's first byte to the empty line's last.
    let bytes: UnsafeRawBufferPointer
    /// Offset of `HTTP/1.1`.
    let version: Int
    /// The target as it was sent: the block's own copy may be cut at `?`.
    let target: UnsafeRawBufferPointer
    /// How many fields the library counts.
    let fieldCount: Int
    /// More fields than this are refused.
    let fieldLimit: Int

    /// What the server itself needs of the header.
    struct Framing: Equatable {
        enum Method: Equatable { case get, head, other }
        var method = Method.other
        var isChunked = false
        /// Of `Content-Length`; 0 when there is none.
        var length = 0
        var hasBody: Bool { isChunked || length > 0 }

        fileprivate var hosts = 0
        fileprivate var lengths = 0
        fileprivate var codings = 0
    }

    /// Walks the block once. Throws unless it is `request-line CRLF *(name ":" value CRLF) CRLF` to the byte, with unambiguous framing and one Host.
    func framing() throws(Refusal) -> Framing {
        var framing = Framing()
        let isOld = try requestLine(&framing)
        var index = version + 10  // HTTP/1.1 and its end of line
        var fields = 0
        while true {
            guard index + 2 <= bytes.count else { throw .malformed("the header ends too early") }
            if bytes[index] == 0 {
                guard bytes[index + 1] == 0, index + 2 == bytes.count else { throw .malformed("a bare line feed or a NUL in the header") }
                break
            }
            fields += 1
            guard fields <= fieldLimit else { throw Refusal(status: 431, reason: "more than \(fieldLimit) header fields") }
            index = try field(at: index, &framing)
        }
        guard fields == fieldCount else { throw .malformed("a folded header field or a NUL in the header") }
        guard framing.lengths <= 1 else { throw .malformed("more than one Content-Length") }
        guard framing.codings <= 1 else { throw .malformed("more than one Transfer-Encoding") }
        guard framing.codings == 0 || framing.lengths == 0 else { throw .malformed("Content-Length beside Transfer-Encoding") }
        guard framing.codings == 0 || !isOld else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
        guard framing.hosts == 1 || isOld && framing.hosts == 0 else { throw .malformed("exactly one Host is needed") }
        return framing
    }

    /// Method, one blank, target, one blank, version, end of line. Returns whether the version is HTTP/1.0.
    private func requestLine(_ framing: inout Framing) throws(Refusal) -> Bool {
        var index = 0
        while index < bytes.count, bytes[index] != 0 {
            guard ByteSet.token.contains(bytes[index]) else { throw .malformed("the method is not a token") }
            index += 1
        }
        guard index > 0, index <= 32 else { throw .malformed("the method is empty or too long") }
        guard version == index + 1 + target.count + 1, version + 10 <= bytes.count else {
            throw .malformed("the request line is not: method, blank, target, blank, version")
        }
        for byte in target where !ByteSet.target.contains(byte) { throw .malformed("a byte that must be percent-encoded in the target") }
        let method = bytes[..<index]
        framing.method = Self.equal(method, "GET") ? .get : Self.equal(method, "HEAD") ? .head : .other
        if Self.equal(method, "CONNECT") || Self.equal(method, "TRACE") {
            throw Refusal(status: 405, reason: "CONNECT and TRACE are not served")
        }
        let isPath =
            target.first == UInt8(ascii: "/") || target.count == 1 && target[0] == UInt8(ascii: "*") && Self.equal(method, "OPTIONS")
        guard isPath || Self.starts(target[...], "http://") || Self.starts(target[...], "https://") else {
            throw .malformed("the target is no path")
        }
        guard Self.equal(bytes[version..<version + 7], "HTTP/1.") else { throw .malformed("not HTTP/1") }
        let minor = bytes[version + 7]
        guard minor == UInt8(ascii: "0") || minor == UInt8(ascii: "1") else { throw .malformed("neither HTTP/1.0 nor HTTP/1.1") }
        guard bytes[version + 8] == 0, bytes[version + 9] == 0 else { throw .malformed("something behind the version") }
        return minor == UInt8(ascii: "0")
    }

    /// One line: a token, the colon, a value, the end of the line. Returns where the next line begins.
    private func field(at start: Int, _ framing: inout Framing) throws(Refusal) -> Int {
        var index = start
        while index < bytes.count, bytes[index] != 0 {
            guard ByteSet.token.contains(bytes[index]) else { throw .malformed("the name of a header field is not a token") }
            index += 1
        }
        let name = bytes[start..<index]
        index += 1
        var valueStart = index
        while index < bytes.count, bytes[index] != 0 {
            guard ByteSet.value.contains(bytes[index]) else { throw .malformed("a control byte in a header field") }
            index += 1
        }
        guard index + 2 <= bytes.count, bytes[index + 1] == 0 else { throw .malformed("a bare line feed or a NUL in a header field") }
        while valueStart < index, Self.isBlank(bytes[valueStart]) { valueStart += 1 }
        var valueEnd = index
        while valueEnd > valueStart, Self.isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
        try note(name, bytes[valueStart..<valueEnd], trailingBlanks: valueEnd != index, &framing)
        return index + 2
    }

    /// Reads the fields that decide about framing. Blanks behind their values are legal but a known way to make two parsers differ: refused.
    private func note(
        _ name: Slice<UnsafeRawBufferPointer>, _ value: Slice<UnsafeRawBufferPointer>, trailingBlanks: Bool, _ framing: inout Framing
    ) throws(Refusal) {
        switch name.count {
        case 4 where Self.same(name, "host"):
            framing.hosts += 1
            for byte in value where !ByteSet.host.contains(byte) { throw .malformed("Host is neither a name nor an address") }
        case 6 where Self.same(name, "expect"):
            guard Self.same(value, "100-continue") else { throw Refusal(status: 417, reason: "only Expect: 100-continue is known") }
        case 14 where Self.same(name, "content-length"):
            framing.lengths += 1
            guard !trailingBlanks, !value.isEmpty, value.count <= 18 else { throw .malformed("Content-Length is not a number") }
            framing.length = 0
            for byte in value {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { throw .malformed("Content-Length is not a number") }
                framing.length = framing.length * 10 + Int(byte - UInt8(ascii: "0"))
            }
        case 17 where Self.same(name, "transfer-encoding"):
            framing.codings += 1
            guard !trailingBlanks, Self.same(value, "chunked") else {
                throw Refusal(status: 501, reason: "only Transfer-Encoding: chunked is known")
            }
            framing.isChunked = true
        default: break
        }
    }

    @inline(__always) private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 9 }
    @inline(__always) private static func lower(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 32 : byte }

    private static func equal(_ bytes: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<bytes.count where bytes[bytes.startIndex + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether the bytes are `text`, which is in small letters, but for case.
    private static func same(_ bytes: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
        bytes.count == text.utf8CodeUnitCount && starts(bytes, text)
    }

    private static func starts(_ bytes: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
        guard bytes.count >= text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount where lower(bytes[bytes.startIndex + offset]) != text.utf8Start[offset] { return false }
        return true
    }
}
