internal import COpenSSL

/// Comparison of secrets that takes the same time wherever they differ.
package enum ConstantTime {
    /// Whether both are the same bytes. Only a difference in length shows in the time taken.
    package static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }

    /// Whether both are the same UTF-8 bytes.
    package static func equal(_ left: String, _ right: String) -> Bool {
        equal(Array(left.utf8), Array(right.utf8))
    }
}
