/// How long to wait before the next attempt: doubles up to a cap, each pause with jitter so that a fleet does not come back in one moment.
package struct BackOff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var failures = 0

    package init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    package mutating func reset() { failures = 0 }

    /// Between half of the pause and the whole.
    package mutating func next() -> Duration {
        var generator = SystemRandomNumberGenerator()
        return next(using: &generator)
    }

    /// As `next()`, by the numbers of a generator.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let factor = Double(1 << min(failures, 20))
        failures += 1
        let whole = min(first * factor, longest)
        return whole * Double.random(in: 0.5...1, using: &generator)
    }
}
