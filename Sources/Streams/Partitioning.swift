/// Which partition a key belongs to, in agreement with Spring Cloud Stream's default selector.
public enum Partitioning {
    /// Java's `String.hashCode()`: 31·h + UTF-16 unit, 32-bit, wrapping.
    public static func javaHash(_ key: String) -> Int32 {
        var hash: Int32 = 0
        for unit in key.utf16 { hash = hash &* 31 &+ Int32(unit) }
        return hash
    }

    /// `abs(hash) mod count`, where the hash that has no absolute value counts as 0. `count` must be positive.
    public static func partition(of key: String, count: Int) -> Int {
        let hash = javaHash(key)
        return hash == .min ? 0 : Int(abs(hash)) % count
    }
}
