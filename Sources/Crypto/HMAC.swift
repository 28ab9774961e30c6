internal import COpenSSL

/// Keyed hashes (RFC 2104), as webhooks sign their bodies with.
package enum HMAC {
    /// The 32 bytes of HMAC-SHA-256. An empty key is allowed.
    package static func sha256(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        code(message, key: key, algorithm: EVP_sha256(), length: 32)
    }

    /// The 20 bytes of HMAC-SHA-1: only for peers that offer nothing better.
    package static func sha1(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        code(message, key: key, algorithm: EVP_sha1(), length: 20)
    }

    private static func code(_ message: [UInt8], key: [UInt8], algorithm: OpaquePointer?, length: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: length)
        var written: UInt32 = 0
        // A nil key means "the key of the last call" to OpenSSL, and an empty array may be nil: one spare byte keeps the pointer real.
        let padded = key + [0]
        let done = COpenSSL.HMAC(algorithm, padded, Int32(clamping: key.count), message, message.count, &result, &written)
        precondition(done != nil && Int(written) == length, "OpenSSL cannot compute an HMAC")
        return result
    }
}
