/// Seconds with their fractions: what the law calculates in.
package typealias Seconds = Double

/// What an operator promises of a group of workers, and the bounds within which it may be kept.
package struct ScalingPolicy: Sendable, Hashable, Codable {
    package var name: String
    package var minimum: Int
    package var maximum: Int
    package var conditions: [ScalingCondition]
    package var instance: InstanceBelief
    /// Time between two decisions.
    package var poll: Seconds
    /// With nothing waiting, in hand or arriving for so long nothing is needed.
    package var idle: Seconds
    /// A lower count is taken over when nothing asked for more within this time.
    package var downWindow: Seconds
    /// What is wanted when nothing is known for a long time; nil: the count is held for ever.
    package var fallback: Fallback?

    package init(
        name: String, minimum: Int = 0, maximum: Int, conditions: [ScalingCondition], instance: InstanceBelief, poll: Seconds = 5,
        idle: Seconds = 60, downWindow: Seconds = 300, fallback: Fallback? = nil
    ) {
        self.name = name
        self.minimum = minimum
        self.maximum = maximum
        self.conditions = conditions
        self.instance = instance
        self.poll = poll
        self.idle = idle
        self.downWindow = downWindow
        self.fallback = fallback
    }

    /// What one instance does, believed until it has been seen.
    package struct InstanceBelief: Sendable, Hashable, Codable {
        /// Messages a second of one busy instance.
        package var rate: Double
        /// From the order to ready.
        package var start: Seconds
        package init(rate: Double, start: Seconds) {
            self.rate = rate
            self.start = start
        }
    }

    package struct Fallback: Sendable, Hashable, Codable {
        package var count: Int
        package var after: Seconds
        package init(count: Int, after: Seconds) {
            self.count = count
            self.after = after
        }
    }

    /// The queue conditions, in the order in which an observation has their readings.
    package var queues: [QueueCondition] {
        conditions.compactMap { if case .queue(let queue) = $0 { queue } else { nil } }
    }

    /// The longest that a message may wait; nil when nothing is promised of a queue.
    package var promise: Seconds? { queues.map(\.objective.limit).min() }
}

/// One reason to have instances. What several ask is combined: the most that one asks for, below the lowest ceiling.
package enum ScalingCondition: Sendable, Hashable, Codable {
    case queue(QueueCondition)
    case window(WindowCondition)
    case resource(ResourceCondition)
    case parameter(ParameterCondition)
    case forecast(ForecastCondition)

    package var kind: String {
        switch self {
        case .queue: "queue"
        case .window: "window"
        case .resource: "resource"
        case .parameter: "parameter"
        case .forecast: "forecast"
        }
    }

    /// Whether it follows a calendar: what it asks for is neither early nor late, and not smoothed.
    var isTimed: Bool {
        switch self {
        case .window: true
        case .parameter(let parameter): if case .deadline = parameter.rule { true } else { false }
        case .queue, .resource, .forecast: false
        }
    }
}

/// A queue whose messages are promised not to wait for long.
package struct QueueCondition: Sendable, Hashable, Codable {
    package enum Objective: Sendable, Hashable, Codable {
        /// No message waits longer.
        case wait(Seconds)
        /// A backlog is gone in this time.
        case drain(Seconds)

        package var limit: Seconds {
            switch self {
            case .wait(let limit), .drain(let limit): limit
            }
        }
    }

    package var destination: String
    package var objective: Objective
    /// At most so many instances can work at once, where the source does not tell.
    package var partitions: Int?

    package init(destination: String, objective: Objective, partitions: Int? = nil) {
        self.destination = destination
        self.objective = objective
        self.partitions = partitions
    }
}

/// What instances report of themselves: a share that is used, the mean over those ready.
package struct ResourceCondition: Sendable, Hashable, Codable {
    package var name: String
    /// The share that is wanted, in the same unit.
    package var target: Double
    package init(name: String, target: Double) {
        self.name = name
        self.target = target
    }
}

/// The business says how much there will be to do, or when.
package struct ParameterCondition: Sendable, Hashable, Codable {
    package enum Rule: Sendable, Hashable, Codable {
        /// The value is a moment, seconds since 1970 (0: none): the floor rises to `floor` within `ramp` before it and holds until `tail` after.
        case deadline(floor: Int, ramp: Seconds, tail: Seconds)
        /// The value is an amount: one instance for each `share` of it.
        case amount(share: Double)
    }
    package var name: String
    package var rule: Rule
    package init(name: String, rule: Rule) {
        self.name = name
        self.rule = rule
    }
}

/// Arrivals come again as they came a season ago.
package struct ForecastCondition: Sendable, Hashable, Codable {
    package var season: Seconds
    /// The share of forecasts that is to be at least what comes.
    package var quantile: Double
    package init(season: Seconds, quantile: Double = 0.95) {
        self.season = season
        self.quantile = quantile
    }
}

extension ScalingPolicy {
    /// What a history has to tell besides the arrivals: the names of the resources and parameters.
    package var columns: [String] {
        conditions.compactMap {
            switch $0 {
            case .resource(let resource): resource.name
            case .parameter(let parameter): parameter.name
            case .queue, .window, .forecast: nil
            }
        }
    }
}
