import Glibc

/// The two clocks of the embedded broker, in milliseconds.
enum BrokerClock {
    /// Never steps: what delays are measured with. Counts from the start of the machine.
    static var steady: Int64 { read(CLOCK_BOOTTIME) }
    /// Since 1970: what events are stamped with.
    static var wall: Int64 { read(CLOCK_REALTIME) }

    private static func read(_ id: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(id, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

extension Duration {
    /// Whole milliseconds, rounded up so that a wait never ends early, at most a hundred years.
    var millisecondsRoundedUp: Int64 {
        let (seconds, attoseconds) = components
        let bounded = min(max(seconds, 0), 3_155_760_000)
        return bounded * 1000 + (seconds < 0 ? 0 : (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
