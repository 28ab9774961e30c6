/// A history played against simulated workers under a law, without a clock.
package struct Simulation: Sendable {
    package let policy: ScalingPolicy
    package let history: History
    /// What instances really do, where it differs from what the policy believes.
    package var rate: Double
    package var start: Seconds

    package init(_ policy: ScalingPolicy, history: History, rate: Double? = nil, start: Seconds? = nil) {
        self.policy = policy
        self.history = history
        self.rate = rate ?? policy.instance.rate
        self.start = start ?? policy.instance.start
    }

    /// What one poll saw and led to.
    package struct Sample: Sendable, Hashable {
        package var time: Seconds
        /// Nil where the source did not answer.
        package var backlog: Int?
        package var arrived: Int
        package var ready: Int
        package var desired: Int
    }

    package struct Run: Sendable {
        package var summary: SimulationSummary
        package var samples: [Sample]
    }

    /// The shipped law, with all its decisions.
    package func run() -> (run: Run, decisions: [Decision]) {
        var decisions: [Decision] = []
        let run = run(noting: { decisions.append($0) })
        return (run, decisions)
    }

    /// The shipped law; `note` gets each decision, so that a long run needs not hold all of them.
    package func run(noting note: (Decision) -> Void) -> Run {
        var state = PolicyState(policy)
        var run = run { observation in
            let decision = state.decide(observation)
            note(decision)
            return decision.desired
        }
        run.summary.feasibility = feasibility()
        return run
    }

    /// Any law: called once a poll, from the history's begin to its end, it says how many instances there should be.
    package func run(_ decide: (Observation) -> Int) -> Run {
        play(isStrict: false, decide)
    }

    func play(isStrict: Bool, _ decide: (Observation) -> Int) -> Run {
        var plant = Plant(history, rate: rate, start: start, promise: policy.promise ?? .infinity, ready: policy.minimum)
        var lines = HistoryCursor(history)
        var samples: [Sample] = []
        var tally = Tally(count: policy.minimum)
        var poll = 0
        var last = history.begin
        while true {
            // In milliseconds, as times are written.
            let time = ((history.begin + Double(poll) * policy.poll) * 1000).rounded() / 1000
            guard time <= history.end + 1e-6 else { break }
            plant.advance(to: time, isStrict: isStrict)
            if isStrict, plant.late > 0 { break }
            tally.pass(time - last)
            let line = lines.line(at: time)
            let arrived = plant.arrived()
            let backlog = arrived - plant.began + plant.busy
            let observation = Observation(
                time: time, elapsed: time - last,
                current: InstanceCount(desired: plant.count, ready: plant.ready, starting: plant.starting.count),
                queues: policy.queues.isEmpty
                    ? [] : [line.published == nil ? .unknown : reading(plant, arrived: arrived, backlog: backlog)],
                resources: resources(line, ready: plant.ready), parameters: parameters(line))
            let desired = max(0, decide(observation))
            samples.append(
                Sample(
                    time: time, backlog: line.published == nil ? nil : backlog, arrived: arrived, ready: plant.ready, desired: desired))
            tally.set(desired)
            plant.set(desired)
            last = time
            poll += 1
        }
        if !isStrict || plant.late == 0 {
            plant.advance(to: history.end, isStrict: isStrict)
            tally.pass(max(0, history.end - last))
            plant.close()
        }
        return Run(
            summary: SimulationSummary(
                messages: history.total, late: plant.late, hasPromise: policy.promise != nil, maximumWait: plant.maximumWait,
                instanceSeconds: tally.instanceSeconds, rate: rate, reversals: tally.reversals, peak: tally.peak),
            samples: samples)
    }

    private func reading(_ plant: Plant, arrived: Int, backlog: Int) -> QueueReading {
        QueueReading(
            backlog: Reading(Double(backlog)), published: Reading(Double(arrived)),
            acknowledged: Reading(Double(plant.began - plant.busy)), oldest: Reading(plant.oldest))
    }

    /// A column has the sum over all instances: what one of them reports depends on how many there are.
    private func resources(_ line: History.Row, ready: Int) -> [String: Reading] {
        var readings: [String: Reading] = [:]
        for case .resource(let resource) in policy.conditions {
            guard let sum = value(of: resource.name, in: line) else { continue }
            readings[resource.name] = Reading(ready == 0 ? 0 : sum / Double(ready))
        }
        return readings
    }

    private func parameters(_ line: History.Row) -> [String: Reading] {
        var readings: [String: Reading] = [:]
        for case .parameter(let parameter) in policy.conditions {
            readings[parameter.name] = Reading(value(of: parameter.name, in: line))
        }
        return readings
    }

    private func value(of name: String, in line: History.Row) -> Double? {
        guard let index = history.columns.firstIndex(of: name), line.others.indices.contains(index) else { return nil }
        return line.others[index]
    }
}

/// What a count costs and how it moves.
private struct Tally {
    private var count: Int
    private var direction = 0
    private(set) var instanceSeconds: Seconds = 0
    private(set) var reversals = 0
    private(set) var peak: Int

    init(count: Int) {
        self.count = count
        peak = count
    }

    mutating func pass(_ time: Seconds) { instanceSeconds += Double(count) * time }

    mutating func set(_ desired: Int) {
        guard desired != count else { return }
        let new = desired > count ? 1 : -1
        if direction == -new { reversals += 1 }
        direction = new
        count = desired
        peak = max(peak, desired)
    }
}
