extension Duration {
    /// Whole nanoseconds, never negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return seconds < 0 ? 0 : UInt64(min(seconds, 9_000_000_000)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
    }

    /// Whole milliseconds, rounded up so that a wait never ends early.
    var milliseconds: Int { Int((nanoseconds + 999_999) / 1_000_000) }
}
