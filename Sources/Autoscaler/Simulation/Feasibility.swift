/// Whether any law that does not know the future could have kept the promise, and what would have to be different.
package struct Feasibility: Sendable, Hashable {
    package var isFeasible: Bool
    /// The smallest maximum that would do, everything else as it is; nil: none would.
    package var maximum: Int?
    /// The longest start that would do, everything else as it is, in whole seconds; nil: none would.
    package var start: Seconds?

    package static let feasible = Feasibility(isFeasible: true)
}

extension Simulation {
    private static let mostInstances = 100_000

    /// The most that can be done without knowing the future is to order all there may be at the first poll that sees a message, and to keep them
    /// until the last one is done. Where even that is late, no law could have kept the promise; that it could says nothing of the cost.
    package func feasibility() -> Feasibility {
        guard policy.promise != nil, !isKept(maximum: policy.maximum, start: start) else { return .feasible }
        var answer = Feasibility(isFeasible: false)
        if isKept(maximum: Self.mostInstances, start: start) {
            answer.maximum = Self.least(above: policy.maximum, upTo: Self.mostInstances) { isKept(maximum: $0, start: start) }
        }
        if isKept(maximum: policy.maximum, start: 0) {
            let longest = Self.least(above: -Int(start.rounded(.up)), upTo: 0) { isKept(maximum: policy.maximum, start: Double(-$0)) }
            answer.start = Double(-longest)
        }
        return answer
    }

    /// The least number for which `holds` is true, that is false at `low` and true at `high`.
    private static func least(above low: Int, upTo high: Int, _ holds: (Int) -> Bool) -> Int {
        var low = low
        var high = high
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if holds(middle) { high = middle } else { low = middle }
        }
        return high
    }

    private func isKept(maximum: Int, start: Seconds) -> Bool {
        var plant = self
        plant.start = start
        var published = 0.0
        let run = plant.play(isStrict: true) { observation in
            guard let reading = observation.queues.first, let backlog = reading.backlog.value, let now = reading.published.value else {
                return observation.current?.desired ?? policy.minimum
            }
            defer { published = now }
            return backlog > 0 || now > published ? maximum : policy.minimum
        }
        return run.summary.lateMessages == 0
    }
}
