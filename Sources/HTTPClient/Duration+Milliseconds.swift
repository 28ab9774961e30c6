extension Duration {
    /// At least 1: libcurl takes 0 for "no limit".
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        guard seconds < 86_400 * 365 else { return 86_400_000 * 20 }
        return max(1, min(Int(Int32.max), Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)))
    }
}
