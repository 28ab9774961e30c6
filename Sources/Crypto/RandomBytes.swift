internal import COpenSSL

/// Bytes that nobody can foretell: for keys, tokens and identifiers.
package enum RandomBytes {
    /// `count` bytes from OpenSSL's generator. A process that cannot get randomness must not go on and make up keys: it stops.
    package static func generate(_ count: Int) -> [UInt8] {
        precondition(count >= 0 && count <= Int(Int32.max), "a number of random bytes between 0 and 2³¹ − 1")
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(RAND_bytes(&bytes, Int32(count)) == 1, "the system gives no random bytes")
        return bytes
    }
}
