package import Autoscaler
internal import Glibc
internal import Telemetry

/// The two clocks of the engine: durations go by one, windows and what people say by the other.
package struct ScalingClock: Sendable {
    /// Seconds that only go on, also while this process is not there; nobody sets them.
    package var steady: @Sendable () -> Seconds
    /// Seconds since 1970, to the millisecond.
    package var wall: @Sendable () -> Seconds
    /// Tells apart the lives of the machine: `steady` begins anew in each.
    package var boot: String

    package init(steady: @escaping @Sendable () -> Seconds, wall: @escaping @Sendable () -> Seconds, boot: String = "") {
        self.steady = steady
        self.wall = wall
        self.boot = boot
    }

    /// The machine's own.
    package static let system = ScalingClock(
        steady: {
            var time = timespec()
            clock_gettime(CLOCK_BOOTTIME, &time)
            return rounded(Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
        }, wall: { Double(Timestamp.now.milliseconds) / 1000 }, boot: bootIdentifier)

    /// Milliseconds are exact in every form that times are written in.
    static func rounded(_ seconds: Seconds) -> Seconds { (seconds * 1000).rounded() / 1000 }

    private static var bootIdentifier: String {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "r") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return "" }
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
