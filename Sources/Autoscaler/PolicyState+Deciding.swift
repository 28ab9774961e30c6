extension PolicyState {
    /// As `decide(_:_:)`, in place.
    package mutating func decide(_ observation: Observation) -> Decision {
        seq += 1
        clock += observation.elapsed
        let held = observation.current?.desired ?? ordered ?? policy.minimum
        let isForeign = isForeign(observation.current)
        let views = look(at: observation)
        let isIdle = note(idle: views, fresh: isForeign || ordered == nil ? held : nil)
        let outcomes = evaluate(observation, views)
        let unknown = outcomes.contains { $0.isUnknown }
        // A source that answered, though not yet twice, is not away.
        unknownSince = outcomes.contains { $0.isUnknown && $0.desired == nil } ? unknownSince ?? clock : nil

        // What varies by itself is smoothed: it goes down only when nothing asked for more for a while. Times that were set are kept to the moment.
        let timed = zip(policy.conditions, outcomes).filter { $0.0.isTimed }.map(\.1.asked).max() ?? 0
        let steady = zip(policy.conditions, outcomes).filter { !$0.0.isTimed }.map(\.1.asked).max() ?? 0
        demand.ask(unknown ? max(steady, min(held, policy.maximum)) : steady, at: clock, keeping: isIdle ? 0 : policy.downWindow)
        var choice = Choice(count: max(steady, timed))
        let asked = choice.count
        let fallback = fallback
        if let fallback {
            choice.set(to: max(fallback, asked), "fallback")
        } else if unknown {
            choice.raise(to: held, "unknown")
        } else if choice.count < held {
            choice.raise(to: min(demand.maximum, held), "down-window")
            damp(&choice, held: held, least: max(policy.minimum, timed))
        }
        if let ceiling = outcomes.compactMap(\.ceiling).min() {
            // What is not known may be the need for those that are there.
            choice.lower(to: unknown && fallback == nil ? max(ceiling, held) : ceiling, "ceiling")
        }
        if observation.current == nil || isForeign || observation.standing?.keeps == true {
            choice = Choice(count: held)
        } else if case .set(let count, _) = observation.standing {
            choice = Choice(count: choice.count)
            choice.set(to: count, "set")
        }
        choice.raise(to: policy.minimum, "min")
        choice.lower(to: policy.maximum, "max")

        var outcome: Decision.Outcome = choice.count > held ? .up : choice.count < held ? .down : .same
        if outcome == .same, observation.standing?.keeps ?? (unknown || isForeign) { outcome = .hold }
        if observation.current == nil || observation.standing?.forbids == true { outcome = .hold }
        let account = Account(
            policy: policy, outcomes: outcomes, view: views.first, choice: choice, held: held, outcome: outcome,
            isForeign: isForeign, isTargetKnown: observation.current != nil, isUnknown: unknown, deadTime: deadTime,
            standing: observation.standing, time: observation.time)
        let decision = Decision(
            seq: seq, time: observation.time, elapsed: observation.elapsed, policy: policy.name, current: observation.current,
            desired: choice.count, outcome: outcome, inputs: inputs(observation, views), conditions: outcomes, won: account.won,
            clamps: choice.clamps, because: account.because, unless: account.unless, standing: observation.standing)
        remember(observation, desired: choice.count, held: held)
        return decision
    }

    /// Whether somebody else set the count: it is neither what was ordered nor what was there before.
    private func isForeign(_ current: InstanceCount?) -> Bool {
        guard let current, let ordered else { return false }
        return current.desired != ordered && current.desired != found
    }

    /// Takes over what the queues and the orchestrator say, and returns how the law sees each queue.
    private mutating func look(at observation: Observation) -> [QueueView] {
        if let current = observation.current {
            // What left without becoming ready teaches nothing of the time that it takes.
            let risen = current.ready - (foundReady ?? current.ready)
            for time in orders.observe(starting: current.starting, at: clock) where risen > 0 { start.observe(time) }
            foundReady = current.ready
        }
        let ready = observation.current?.ready ?? 0
        let starting = orders.arrivals(start: start.value, poll: policy.poll, at: clock)
        return policy.queues.indices.map { index in
            let reading = observation.queues.indices.contains(index) ? observation.queues[index] : .unknown
            let isKnown = arrivals[index].observe(reading, clock: clock, capacity: Double(ready) * rate.value)
            let condition = policy.queues[index]
            return QueueView(
                condition: condition, reading: reading, isKnown: isKnown, latest: arrivals[index].latest,
                law: QueueLaw(
                    backlog: reading.backlog.value ?? 0, arrivals: arrivals[index].rate ?? 0, rate: rate.value, start: start.value,
                    poll: policy.poll, limit: condition.objective.limit, ready: ready, starting: starting))
        }
    }

    private mutating func evaluate(_ observation: Observation, _ views: [QueueView]) -> [ConditionOutcome] {
        var queue = 0
        var forecast = 0
        return policy.conditions.map { condition in
            switch condition {
            case .queue:
                defer { queue += 1 }
                return views[queue].outcome(idleFor: clock - lastBusy, idle: policy.idle)
            case .window(let window): return window.outcome(at: observation.time, lead: deadTime)
            case .resource(let resource):
                guard let current = observation.current else {
                    return ConditionOutcome(kind: "resource", reason: "the instances are unknown", isUnknown: true)
                }
                return resource.outcome(observation.resources[resource.name], ready: current.ready)
            case .parameter(let parameter): return parameter.outcome(observation.parameters[parameter.name], at: observation.time)
            case .forecast:
                defer { forecast += 1 }
                let isKnown = views.first?.isKnown ?? false
                forecasts[forecast].observe(
                    arrivals: isKnown ? views.first?.latest : nil, elapsed: observation.elapsed, at: clock)
                return forecasts[forecast].outcome(rate: rate.value)
            }
        }
    }

    /// Notes since when nothing waits, is in hand or arrives; whether that is long enough for none.
    private mutating func note(idle views: [QueueView], fresh: Int?) -> Bool {
        if !views.allSatisfy(\.isEmpty) { lastBusy = clock }
        // A count that was not ordered here is taken as if it had been asked for: nothing is known of why.
        if let fresh { demand.ask(fresh, at: clock, keeping: policy.downWindow) }
        // Where there is none to begin with, the idle time keeps none.
        if fresh == 0, !views.contains(where: \.isBusy) { lastBusy = clock - policy.idle }
        return !views.isEmpty && clock - lastBusy >= policy.idle
    }

    /// No step down that would soon be taken back.
    private func damp(_ choice: inout Choice, held: Int, least: Int) {
        guard choice.count < held else { return }
        if let lastUp, clock - lastUp < deadTime { choice.raise(to: held, "dead-time") }
        let step = held - choice.count
        // In whole instances; the last step to the least is always taken.
        if step > 0, step < Self.deadband(held), choice.count > least { choice.raise(to: held, "deadband") }
    }

    /// As many as chance alone moves the need by.
    static func deadband(_ count: Int) -> Int { max(1, Int((Double(count).squareRoot() / 2).rounded())) }

    /// The count that the policy names for when nothing has been known for long; nil: it is not so, and the count is held.
    private var fallback: Int? {
        guard let fallback = policy.fallback, let unknownSince, clock - unknownSince >= fallback.after else { return nil }
        return fallback.count
    }

    private mutating func remember(_ observation: Observation, desired: Int, held: Int) {
        // Learned after the decision: what a reading teaches counts from the next one on.
        if policy.queues.count == 1, let reading = observation.queues.first, let current = observation.current {
            rate.observe(reading, ready: current.ready, clock: clock)
        }
        guard observation.current != nil else { return }
        if desired > held {
            lastUp = clock
            orders.order(desired - held, at: clock)
        } else if desired < held {
            orders.cancel(held - desired)
        }
        ordered = desired
        found = held
    }
}

/// The count on its way from what is asked for to what is wanted, with all that changed it.
struct Choice {
    private(set) var count: Int
    private(set) var clamps: [Decision.Clamp] = []

    init(count: Int) { self.count = count }

    mutating func set(to count: Int, _ name: String) {
        guard count != self.count else { return }
        clamps.append(Decision.Clamp(name, from: self.count, to: count))
        self.count = count
    }

    mutating func raise(to count: Int, _ name: String) { if count > self.count { set(to: count, name) } }
    mutating func lower(to count: Int, _ name: String) { if count < self.count { set(to: count, name) } }
}
