extension PolicyState {
    /// What the decision was made from, with what was read first: the recorded numbers are enough to make it again.
    func inputs(_ observation: Observation, _ views: [QueueView]) -> [Decision.Input] {
        var inputs: [Decision.Input] = []
        for (index, view) in views.enumerated() {
            let suffix = Self.suffix(index)
            let reading = view.reading
            inputs.append(Decision.Input("backlog" + suffix, reading.backlog.value, age: reading.backlog.age))
            inputs.append(
                Decision.Input("arrivals" + suffix, view.isKnown ? arrivals[index].rate : nil, age: reading.published.age))
            for (name, one) in reading.optional where one.value != nil {
                inputs.append(Decision.Input(name + suffix, one.value, age: one.age))
            }
        }
        for (kind, readings) in [("resource ", observation.resources), ("parameter ", observation.parameters)] {
            for (name, reading) in readings.sorted(by: { $0.key < $1.key }) {
                inputs.append(Decision.Input(kind + name, reading.value, age: reading.age))
            }
        }
        inputs.append(Decision.Input("rate", rate.value, confidence: rate.confidence))
        inputs.append(Decision.Input("start", start.value, confidence: start.confidence))
        return inputs
    }

    static func suffix(_ index: Int) -> String { index == 0 ? "" : " \(index + 1)" }
}

extension QueueReading {
    /// What a source may tell besides the backlog.
    fileprivate var optional: [(String, Reading)] {
        [("published", published), ("acknowledged", acknowledged), ("oldest", oldest), ("partitions", partitions)]
    }
}

extension Observation {
    /// What a decision was made from, as it says itself.
    package init(recordedIn decision: Decision) {
        func reading(_ name: String) -> Reading {
            guard let input = decision.input(name) else { return .unknown }
            return Reading(input.value, age: input.age)
        }
        var queues: [QueueReading] = []
        while decision.input("backlog" + PolicyState.suffix(queues.count)) != nil {
            let suffix = PolicyState.suffix(queues.count)
            queues.append(
                QueueReading(
                    backlog: reading("backlog" + suffix), published: reading("published" + suffix),
                    acknowledged: reading("acknowledged" + suffix), oldest: reading("oldest" + suffix),
                    partitions: reading("partitions" + suffix)))
        }
        func named(_ kind: String) -> [String: Reading] {
            let found = decision.inputs.filter { $0.name.hasPrefix(kind) }
            return Dictionary(
                found.map { (String($0.name.dropFirst(kind.count)), Reading($0.value, age: $0.age)) },
                uniquingKeysWith: { first, _ in first }
            )
        }
        self.init(
            time: decision.time, elapsed: decision.elapsed, current: decision.current, queues: queues, resources: named("resource "),
            parameters: named("parameter "), standing: decision.standing)
    }
}
