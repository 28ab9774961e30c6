package import Autoscaler
internal import Options

/// What a simulation tells people.
package enum SimulationText {
    /// Summaries side by side, the first one's chart above.
    package static func report(_ runs: [(name: String, run: Simulation.Run)], poll: Seconds, width: Int = 72) -> String {
        guard let first = runs.first else { return "" }
        var text = SimulationChart(first.run.samples, poll: poll, width: width).text + "\n"
        let heads = ["POLICY", "MESSAGES", "LATE", "LONGEST WAIT", "INSTANCE TIME", "COST", "REVERSALS", "PEAK"]
        let rows = runs.map { name, run in
            let summary = run.summary
            return [
                name, String(summary.messages), summary.late.map(percent) ?? "-", duration(summary.maximumWait),
                duration(summary.instanceSeconds), summary.cost.map { decimal($0) + "x ideal" } ?? "-", String(summary.reversals),
                String(summary.peak),
            ]
        }
        text += TextTable(heads, rows).text
        if let feasibility = first.run.summary.feasibility, !feasibility.isFeasible { text += "\n" + advice(feasibility) + "\n" }
        return text
    }

    /// A line for each law, a column for each workload: cost, share late, reversals.
    package static func comparison(_ comparison: ComparisonTable) -> String {
        var workloads: [String] = []
        var laws: [String] = []
        for cell in comparison.cells {
            if !workloads.contains(cell.workload) { workloads.append(cell.workload) }
            if !laws.contains(cell.law) { laws.append(cell.law) }
        }
        let rows = laws.map { law in
            [law]
                + workloads.map { workload in
                    guard let cell = comparison.cells.first(where: { $0.law == law && $0.workload == workload }) else { return "-" }
                    return "\(decimal(cell.cost))x \(percent(cell.late)) \(cell.reversals)"
                }
        }
        return "Cost as a multiple of the ideal, share late, reversals in 6 hours:\n"
            + TextTable(["LAW"] + workloads.map { $0.uppercased() }, rows).text
    }

    /// What would have to be different for the promise to be kept.
    package static func advice(_ feasibility: Feasibility) -> String {
        var ways: [String] = []
        if let maximum = feasibility.maximum { ways.append("a max of \(maximum)") }
        if let start = feasibility.start { ways.append("instances that start within \(duration(start))") }
        let remedy =
            ways.isEmpty
            ? "neither more instances nor a faster start would do alone; a floor in a window or a longer promise would"
            : "\(ways.joined(separator: ", or ")) would do"
        return "No law without foresight could have kept this promise: \(remedy)."
    }

    static func percent(_ share: Double) -> String { decimal(share * 100) + " %" }

    /// Two digits behind the point.
    static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    static func duration(_ seconds: Seconds) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "-" }
        return seconds < 60 ? decimal(seconds) + "s" : Phrase.duration(seconds)
    }
}
