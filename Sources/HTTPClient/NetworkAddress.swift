import CCurl
import Glibc

/// An IPv4 or IPv6 address as its bytes.
package struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    private let bytes: [UInt8]

    /// 4 or 16 bytes.
    init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// An address in its usual form, IPv6 with or without brackets; nil for a name.
    package init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        let plain = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        if inet_pton(AF_INET, plain, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, plain, &six) == 1 {
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
    }

    package var description: String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2).map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(
            separator: ":")
    }

    /// Whether it can be an address on the Internet: neither of this host or link, nor private, shared, for documents or tests, multicast or
    /// reserved. IPv6 forms that carry an IPv4 address are what that one is.
    package var isPublic: Bool { bytes.count == 4 ? Self.isPublic(four: bytes[...]) : isPublicSix }

    private static func isPublic(four: ArraySlice<UInt8>) -> Bool {
        let (a, b, c) = (four[four.startIndex], four[four.startIndex + 1], four[four.startIndex + 2])
        switch (a, b) {
        case (0, _), (10, _), (127, _), (169, 254), (172, 16...31), (192, 168), (100, 64...127), (198, 18...19): return false
        case (192, 0): return c != 0 && c != 2
        case (198, 51): return c != 100
        case (203, 0): return c != 113
        default: return a < 224
        }
    }

    private var isPublicSix: Bool {
        func starts(_ prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }
        // ::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b::a.b.c.d, 2002:a.b.c.d::
        if starts([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]) || starts([0, 0x64, 0xFF, 0x9B] + [UInt8](repeating: 0, count: 8)) {
            return Self.isPublic(four: bytes[12...])
        }
        if starts([0x20, 0x02]) { return Self.isPublic(four: bytes[2..<6]) }
        // Only 2000::/3 is given out; 2001:0::/32 is Teredo, 2001:db8::/32 for documents.
        return bytes[0] & 0xE0 == 0x20 && !starts([0x20, 0x01, 0, 0]) && !starts([0x20, 0x01, 0x0D, 0xB8])
    }
}
