/// The shipped law beside others, on the same arrivals.
package struct ComparisonTable: Sendable {
    package struct Cell: Sendable, Hashable {
        package var law: String
        package var workload: String
        package var cost: Double
        package var late: Double
        package var reversals: Int
    }

    package static var laws: [any ScalingLaw.Type] {
        [DrainLaw.self, KEDALaw.self, HPAValueLaw.self, NomadLaw.self, MarathonLaw.self]
    }

    package let cells: [Cell]

    package init(workloads: [Workload] = Workload.all, laws: [any ScalingLaw.Type] = ComparisonTable.laws) {
        var cells: [Cell] = []
        for workload in workloads {
            let history = workload.history()
            for law in laws { cells.append(Self.cell(law, workload, history)) }
        }
        // By law, in the order given; the arrivals of each workload are made once.
        self.cells = laws.flatMap { law in cells.filter { $0.law == law.name } }
    }

    private static func cell<Law: ScalingLaw>(_ type: Law.Type, _ workload: Workload, _ history: History) -> Cell {
        var law = Law(workload.policy)
        let summary = Simulation(workload.policy, history: history).run { law.decide($0) }.summary
        return Cell(
            law: Law.name, workload: workload.name, cost: summary.cost ?? 0, late: summary.late ?? 0, reversals: summary.reversals)
    }
}
