/// Base64 (RFC 4648): the plain alphabet with padding, and the one for URLs without.
package enum Base64 {
    private static let plain = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Plain alphabet, padded with `=`.
    package static func encode(_ bytes: [UInt8]) -> String {
        encode(bytes, alphabet: plain, padded: true)
    }

    /// The alphabet that needs no escaping in URLs and file names, without padding.
    package static func encodeForURL(_ bytes: [UInt8]) -> String {
        encode(bytes, alphabet: url, padded: false)
    }

    /// The bytes that `text` stands for in the plain alphabet; nil unless it is exact: padded, no blanks, no stray bits.
    package static func decode(_ text: String) -> [UInt8]? {
        decode(Array(text.utf8), alphabet: plain, padded: true)
    }

    /// The bytes that `text` stands for in the alphabet for URLs, without padding; nil unless it is exact.
    package static func decodeForURL(_ text: String) -> [UInt8]? {
        decode(Array(text.utf8), alphabet: url, padded: false)
    }

    private static func encode(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let left = min(3, bytes.count - index)
            var group = UInt32(bytes[index]) << 16
            if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
            if left > 2 { group |= UInt32(bytes[index + 2]) }
            for position in 0..<4 {
                if position <= left {
                    text.append(alphabet[Int(group >> (18 - 6 * UInt32(position)) & 0x3F)])
                } else if padded {
                    text.append(UInt8(ascii: "="))
                }
            }
            index += 3
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ text: [UInt8], alphabet: [UInt8], padded: Bool) -> [UInt8]? {
        var symbols = text[...]
        if padded {
            guard text.count % 4 == 0 else { return nil }
            for _ in 0..<2 where symbols.last == UInt8(ascii: "=") { symbols.removeLast() }
        }
        guard symbols.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(symbols.count * 3 / 4)
        var pending: UInt32 = 0
        var bits: UInt32 = 0
        for symbol in symbols {
            guard let value = value(of: symbol, alphabet: alphabet) else { return nil }
            pending = pending << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> bits))
                pending &= (1 << bits) - 1
            }
        }
        return pending == 0 ? bytes : nil
    }

    private static func value(of symbol: UInt8, alphabet: [UInt8]) -> UInt32? {
        switch symbol {
        case 0x41...0x5A: UInt32(symbol - 0x41)
        case 0x61...0x7A: UInt32(symbol - 0x61) + 26
        case 0x30...0x39: UInt32(symbol - 0x30) + 52
        case alphabet[62]: 62
        case alphabet[63]: 63
        default: nil
        }
    }
}
