/// A set of byte values, for look-ups at one load a byte. The sets are constants of the code: a `static let` asks at each byte whether it has been
/// made. `ByteSetTests` holds them against their definitions.
struct ByteSet: Sendable {
    private let bits: InlineArray<4, UInt64>

    /// Bit N of the four words stands for byte N.
    @inline(__always) private init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        bits = [first, second, third, fourth]
    }

    @inline(__always) func contains(_ byte: UInt8) -> Bool { bits[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    /// `tchar` of RFC 9110: methods and names of header fields.
    static var token: ByteSet { ByteSet(0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0x0000000000000000, 0x0000000000000000) }
    /// What a field's value is made of: visible characters, blank, tab, and bytes above ASCII.
    static var value: ByteSet { ByteSet(0xffffffff00000200, 0x7fffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff) }
    /// What `Host` is made of: a name or address with its port.
    static var host: ByteSet { ByteSet(0x2fff7ff200000000, 0x47fffffeaffffffe, 0x0000000000000000, 0x0000000000000000) }
    /// What a request target is made of: visible ASCII without `#`. More than the RFC's set, since clients send braces and bars as they are.
    static var target: ByteSet { ByteSet(0xfffffff600000000, 0x7fffffffffffffff, 0x0000000000000000, 0x0000000000000000) }
}
