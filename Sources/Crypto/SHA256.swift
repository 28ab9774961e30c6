internal import COpenSSL

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    /// Bytes in a digest.
    package static let length = 32

    /// The 32 bytes of the digest of `bytes`.
    package static func digest(of bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: length)
        var written: UInt32 = 0
        let done = EVP_Digest(bytes, bytes.count, &digest, &written, EVP_sha256(), nil)
        // Fails only without memory for its context: there is nothing to carry on with.
        precondition(done == 1 && Int(written) == length, "OpenSSL cannot compute SHA-256")
        return digest
    }

    /// The digest of the UTF-8 bytes of `text`, as 64 lower-case hexadecimal digits.
    package static func hexadecimalDigest(of text: String) -> String {
        Hexadecimal.encode(digest(of: Array(text.utf8)))
    }
}
