import Glibc

package enum Monotonic {
    /// Nanoseconds since some moment in the past; does not jump with the wall clock.
    package static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
