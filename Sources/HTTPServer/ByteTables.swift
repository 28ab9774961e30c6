/// A set of byte values, for look-ups at one load a byte.
struct ByteSet: Sendable {
    private let bits: InlineArray<4, UInt64>

    init(_ members: some Sequence<UInt8>) {
        var bits = InlineArray<4, UInt64>(repeating: 0)
        for byte in members { bits[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
        self.bits = bits
    }

    @inline(__always) func contains(_ byte: UInt8) -> Bool { bits[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    private static let lettersAndDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    /// `tchar` of RFC 9110: methods and names of header fields.
    static let token = ByteSet((lettersAndDigits + "!#$%&'*+-.^_`|~").utf8)
    /// What a field's value is made of: visible characters, blank, tab, and bytes above ASCII.
    static let value = ByteSet((0x20...0xFF).filter { $0 != 0x7F } + [9])
    /// What `Host` is made of: a name or address with its port.
    static let host = ByteSet((lettersAndDigits + "!$%&'()*+,;=-._~:[]").utf8)
    /// What a request target is made of: visible ASCII without `#`. More than the RFC's set, since clients send braces and bars as they are.
    static let target = ByteSet((0x21...0x7E).filter { $0 != UInt8(ascii: "#") })
}
