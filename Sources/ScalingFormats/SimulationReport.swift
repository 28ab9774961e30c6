package import Autoscaler
internal import ConfigModel

/// What a simulation tells programs.
package struct SimulationReport: Sendable {
    package let policy: ScalingPolicy
    package let summary: SimulationSummary
    package let against: (name: String, summary: SimulationSummary)?
    package let decisions: [Decision]
    package let hasDates: Bool

    package init(
        policy: ScalingPolicy, summary: SimulationSummary, against: (name: String, summary: SimulationSummary)?, decisions: [Decision],
        hasDates: Bool
    ) {
        self.policy = policy
        self.summary = summary
        self.against = against
        self.decisions = decisions
        self.hasDates = hasDates
    }

    package var json: String {
        var writer = JSONWriter(capacity: 1000 + decisions.count * 900)
        writer.raw("{\"policy\":")
        writer.string(policy.name)
        writer.raw(",\"summary\":")
        Self.write(summary, &writer)
        writer.raw(",\"against\":")
        if let against {
            writer.raw("{\"policy\":")
            writer.string(against.name)
            writer.raw(",\"summary\":")
            Self.write(against.summary, &writer)
            writer.raw("}")
        } else {
            writer.raw("null")
        }
        writer.raw(",\"steps\":[")
        for (index, decision) in decisions.enumerated() {
            if index > 0 { writer.raw(",\n") }
            DecisionJSON.write(decision, times: hasDates ? .dates : .seconds, to: &writer)
        }
        writer.raw("]}")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func write(_ summary: SimulationSummary, _ writer: inout JSONWriter) {
        writer.raw(text: "{\"messages\":\(summary.messages),\"late\":")
        DecisionJSON.number(summary.late, &writer)
        writer.raw(",\"maximumWait\":")
        DecisionJSON.number(summary.maximumWait, &writer)
        writer.raw(",\"instanceSeconds\":")
        DecisionJSON.number(summary.instanceSeconds, &writer)
        writer.raw(",\"ideal\":")
        DecisionJSON.number(summary.ideal, &writer)
        writer.raw(",\"cost\":")
        DecisionJSON.number(summary.cost, &writer)
        writer.raw(text: ",\"reversals\":\(summary.reversals),\"peak\":\(summary.peak)")
        if let feasibility = summary.feasibility {
            writer.raw(text: ",\"feasible\":\(feasibility.isFeasible)")
            if !feasibility.isFeasible {
                writer.raw(",\"advice\":{\"max\":")
                DecisionJSON.number(feasibility.maximum.map(Double.init), &writer)
                writer.raw(",\"start\":")
                DecisionJSON.number(feasibility.start, &writer)
                writer.raw(",\"text\":")
                writer.string(SimulationText.advice(feasibility))
                writer.raw("}")
            }
        }
        writer.raw("}")
    }

    /// The comparison of laws, one object a cell.
    package static func json(of table: ComparisonTable) -> String {
        var writer = JSONWriter()
        writer.raw("[")
        for (index, cell) in table.cells.enumerated() {
            if index > 0 { writer.raw(",\n") }
            writer.raw("{\"law\":")
            writer.string(cell.law)
            writer.raw(",\"workload\":")
            writer.string(cell.workload)
            writer.raw(",\"cost\":")
            DecisionJSON.number(cell.cost, &writer)
            writer.raw(",\"late\":")
            DecisionJSON.number(cell.late, &writer)
            writer.raw(text: ",\"reversals\":\(cell.reversals)}")
        }
        writer.raw("]")
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
