package import Autoscaler

/// A policy that decides beside the live one on what that one sees, and changes nothing. A value.
///
/// Its instances are thought, not run: those that it orders are ready after the start time that the live policy believes in. What it would
/// have cost is compared with what the live one costs; what would have waited too long is estimated by a backlog of its own, fed with the same
/// arrivals.
package struct Shadow: Sendable, Hashable, Codable {
    private struct Order: Sendable, Hashable, Codable {
        var left: Seconds
        var count: Int
    }

    package struct Report: Sendable, Hashable, Codable {
        /// Seconds that both were compared for.
        package var time: Seconds = 0
        /// Instance seconds.
        package var liveCost: Seconds = 0
        package var shadowCost: Seconds = 0
        /// Seconds in which the wait that could be expected was longer than the promise.
        package var liveLate: Seconds = 0
        package var shadowLate: Seconds = 0

        /// What the live policy costs beyond the shadow; below zero, it costs less.
        package var regret: Seconds { liveCost - shadowCost }
    }

    package private(set) var state: PolicyState
    package private(set) var report = Report()
    private var ready: Int?
    private var orders: [Order] = []
    private var backlog: Double?
    private var published: Double?

    package init(_ policy: ScalingPolicy) { state = PolicyState(policy) }

    /// Decides on what the live policy saw. `live`: its decision.
    package mutating func decide(_ observation: Observation, live: Decision) -> Decision {
        let elapsed = observation.elapsed
        let rate = live.input("rate")?.value ?? state.policy.instance.rate
        let count = ready ?? observation.current?.ready ?? 0
        advance(elapsed)
        think(observation, served: Double(count) * rate * elapsed)
        note(observation, live: live, rate: rate, ready: count, elapsed: elapsed)

        var own = observation
        let starting = orders.reduce(0) { $0 + $1.count }
        own.current = InstanceCount(desired: (ready ?? 0) + starting, ready: ready ?? 0, starting: starting)
        own.standing = nil
        if let backlog, !own.queues.isEmpty, own.queues[0].backlog.value != nil {
            own.queues[0].backlog.value = backlog.rounded()
            // What is done and how long it waits is the live policy's.
            own.queues[0].acknowledged = .unknown
            own.queues[0].oldest = .unknown
        }
        let decision = state.decide(own)
        order(decision.desired, start: live.input("start")?.value ?? state.policy.instance.start)
        return decision
    }

    private mutating func advance(_ elapsed: Seconds) {
        for index in orders.indices { orders[index].left -= elapsed }
        for order in orders where order.left <= 0 { ready = (ready ?? 0) + order.count }
        orders.removeAll { $0.left <= 0 }
    }

    /// The backlog that there would be.
    private mutating func think(_ observation: Observation, served: Double) {
        guard let reading = observation.queues.first, let real = reading.backlog.value else { return }
        defer { published = reading.published.value ?? published }
        guard let backlog, let before = published, let now = reading.published.value else {
            // Where nobody counts what comes, the live backlog is all that is known.
            self.backlog = reading.published.value == nil ? real : backlog ?? real
            return
        }
        self.backlog = max(0, backlog + (now >= before ? now - before : now) - served)
    }

    private mutating func note(_ observation: Observation, live: Decision, rate: Double, ready: Int, elapsed: Seconds) {
        guard self.ready != nil, let current = observation.current else {
            self.ready = observation.current?.ready ?? self.ready ?? 0
            if let current = observation.current, current.starting > 0 {
                orders.append(Order(left: state.policy.instance.start, count: current.starting))
            }
            return
        }
        report.time += elapsed
        report.liveCost += Double(current.desired) * elapsed
        report.shadowCost += Double(ready + orders.reduce(0) { $0 + $1.count }) * elapsed
        guard let promise = state.policy.promise else { return }
        func isLate(_ backlog: Double?, _ ready: Int) -> Bool {
            guard let backlog, backlog > 0 else { return false }
            return backlog > promise * rate * Double(ready)
        }
        if isLate(observation.queues.first?.backlog.value, current.ready) { report.liveLate += elapsed }
        if isLate(backlog, ready) { report.shadowLate += elapsed }
    }

    private mutating func order(_ desired: Int, start: Seconds) {
        var surplus = (ready ?? 0) + orders.reduce(0) { $0 + $1.count } - desired
        if surplus < 0 {
            if start > 0 { orders.append(Order(left: start, count: -surplus)) } else { ready = (ready ?? 0) - surplus }
            return
        }
        while surplus > 0, let last = orders.last {
            let part = min(surplus, last.count)
            surplus -= part
            if part == last.count { orders.removeLast() } else { orders[orders.count - 1].count -= part }
        }
        ready = max(0, (ready ?? 0) - surplus)
    }
}
