internal import Foundation

/// Arrivals that scaling laws are compared on: Poisson around a rate that changes, from a fixed seed.
package struct Workload: Sendable {
    package let name: String
    package let minimum: Int
    private let rate: @Sendable (Seconds) -> Double
    /// Messages that come at once at the begin of each hour.
    private let hourly: Int

    private static let length = 6 * 3600

    package static let all: [Workload] = [
        Workload(name: "diurnal") { 200 + 150 * sin(2 * .pi * $0 / 21600) },
        Workload(name: "step") { (3600..<14400).contains($0) ? 400 : 100 },
        Workload(name: "burst") { $0.truncatingRemainder(dividingBy: 3600) < 300 ? 450 : 30 },
        Workload(name: "on/off", minimum: 0) { $0.truncatingRemainder(dividingBy: 3600) < 1200 ? 200 : 0 },
        Workload(name: "dump", hourly: 20_000) { _ in 50 },
    ]

    private init(name: String, minimum: Int = 1, hourly: Int = 0, rate: @escaping @Sendable (Seconds) -> Double) {
        self.name = name
        self.minimum = minimum
        self.hourly = hourly
        self.rate = rate
    }

    /// Six hours, counted every second.
    package func history(seed: UInt64 = 1) -> History {
        var random = SplitMix(state: seed)
        var published = 0
        var rows = [History.Row(time: 0, published: 0)]
        rows.reserveCapacity(Self.length + 1)
        // The time to the next arrival, measured in messages that are expected: the same for any rate.
        var wait = random.exponential()
        for second in 0..<Self.length {
            if hourly > 0, second % 3600 == 0 { published += hourly }
            var expected = rate(Double(second) + 0.5)
            while wait <= expected {
                expected -= wait
                published += 1
                wait = random.exponential()
            }
            wait -= expected
            rows.append(History.Row(time: Double(second + 1), published: published))
        }
        return History(rows: rows)
    }

    /// What the laws are given: an instance does 10 a second, starts in 45 s, a poll each 15 s, no message to wait longer than 60 s.
    package var policy: ScalingPolicy {
        ScalingPolicy(
            name: name, minimum: minimum, maximum: 100,
            conditions: [.queue(QueueCondition(destination: name, objective: .wait(60)))],
            instance: ScalingPolicy.InstanceBelief(rate: 10, start: 45), poll: 15)
    }
}

/// Steele, Lea and Flood's generator: small, and the same everywhere.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// The time between two arrivals of which one a unit of time is expected.
    mutating func exponential() -> Double {
        -log((Double(next() >> 11) + 1) * 0x1p-53)
    }
}
