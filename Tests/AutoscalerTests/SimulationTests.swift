import Autoscaler
import Testing

/// The simulated plant against numbers made by hand, and the shipped law against its aims.
@Suite struct SimulationTests {
    private func history(_ rows: (Seconds, Int?)...) -> History { History(rows: rows.map { History.Row(time: $0.0, published: $0.1) }) }

    @Test func `messages wait for one instance, first in, first out`() {
        // Ten at once, two a second: the last one begins 4.5 s later.
        let simulation = Simulation(Given.policy(rate: 2, poll: 5), history: history((0, 10), (20, 10)))
        let summary = simulation.run { _ in 1 }.summary
        #expect(summary.messages == 10)
        #expect(abs(summary.maximumWait - 4.5) < 1e-9)
        #expect(summary.instanceSeconds == 20)
        #expect(summary.ideal == 5)
        #expect(summary.cost == 4)
        #expect(summary.late == 0)
    }

    @Test func `an instance serves after its start and costs from its order; those still starting go first`() {
        var counts = [1, 3, 3, 3, 2, 2, 1]
        let simulation = Simulation(Given.policy(rate: 1, start: 25, poll: 10), history: history((0, 100), (60, 100)))
        var ready: [Int] = []
        let run = simulation.run { observation in
            ready.append(observation.current?.ready ?? -1)
            return counts.removeFirst()
        }
        // Ordered at 10, ready at 35, taken at 40: the ready ones, as none is starting any more.
        #expect(ready == [1, 1, 1, 1, 3, 2, 2])
        #expect(run.summary.instanceSeconds == 10 + 30 + 30 + 30 + 20 + 20)
        #expect(run.summary.peak == 3)
        #expect(run.summary.reversals == 1)
    }

    @Test func `what still waits at the end has waited until then`() {
        let summary = Simulation(Given.policy(minimum: 0), history: history((0, 0), (1, 4), (200, 4))).run { _ in 0 }.summary
        #expect(summary.late == 1)
        #expect(summary.maximumWait > 199)
    }

    @Test func `a source that did not answer is unknown, and what came meanwhile lies evenly`() {
        let history = history((0, 0), (60, nil), (120, nil), (180, 1800), (240, 100))
        var seen: [Double?] = []
        var published: [Double?] = []
        let run = Simulation(Given.policy(poll: 30), history: history).run { observation in
            seen.append(observation.queues[0].backlog.value)
            published.append(observation.queues[0].published.value)
            return 1
        }
        #expect(seen.map { $0 == nil } == [false, false, true, true, true, true, false, false, false])
        #expect(published[1] == 300)
        // 100 is lower than 1800: counted from 0 again.
        #expect(run.summary.messages == 1900)
        #expect(published.last == 1900)
    }

    @Test func `what nobody could have kept is called so, with what would do`() throws {
        // 1000 a second, and 10 instances of 10 at most.
        let many = Simulation(Given.policy(maximum: 10, start: 5), history: history((0, 0), (600, 600_000)))
        let few = many.run().run.summary.feasibility
        #expect(few?.isFeasible == false)
        let maximum = try #require(few?.maximum)
        #expect((90...125).contains(maximum))
        #expect(few?.start == nil)
        var enough = Given.policy(maximum: maximum, start: 5)
        #expect(Simulation(enough, history: many.history).feasibility().isFeasible)
        enough.maximum -= 1
        #expect(!Simulation(enough, history: many.history).feasibility().isFeasible)

        // A burst out of nothing, and a start that is longer than the promise.
        let burst = history((0, 0), (603, 0), (604, 200), (1200, 200))
        let slow = Simulation(Given.policy(minimum: 0, start: 90), history: burst).feasibility()
        #expect(!slow.isFeasible)
        #expect(slow.maximum == nil)
        // Seen at 615 the earliest.
        #expect(try (44...48).contains(#require(slow.start)))
    }

    @Test func `a law that could have done better does not make a promise impossible`() {
        let simulation = Simulation(Given.policy(), history: history((0, 0), (600, 60_000)))
        #expect(simulation.feasibility().isFeasible)
        #expect(simulation.run { _ in 1 }.summary.late ?? 0 > 0.5)
    }

    @Test(arguments: ["diurnal", "step"])
    func `the shipped law costs at most 1.4 times the ideal with less than one message in a hundred late`(name: String) throws {
        let workload = try #require(Workload.all.first { $0.name == name })
        for seed: UInt64 in [1] {
            let summary = Simulation(workload.policy, history: workload.history(seed: seed)).run().run.summary
            #expect(try #require(summary.cost) <= 1.4)
            #expect(try #require(summary.late) < 0.01)
            #expect(summary.reversals <= 10)
            #expect(summary.feasibility?.isFeasible == true)
        }
    }

    @Test func `decisions that were recorded are decided again the same`() throws {
        let workload = try #require(Workload.all.first { $0.name == "on/off" })
        let (_, decisions) = Simulation(workload.policy, history: workload.history(), rate: 8, start: 60).run()
        #expect(decisions.count == 1441)
        #expect(replay(decisions, by: workload.policy) == decisions)
        var other = workload.policy
        other.maximum = 20
        #expect(replay(decisions, by: other) != decisions)
    }

    @Test func `the table has every law on every workload, and the shipped law is late least on bursts`() throws {
        let workloads = Workload.all.filter { $0.name == "on/off" }
        let table = ComparisonTable(workloads: workloads)
        #expect(table.cells.map { $0.law + $0.workload }.count == 5)
        for workload in workloads {
            let cells = table.cells.filter { $0.workload == workload.name }
            #expect(cells.map(\.law) == ["drain", "keda", "hpa-value", "nomad", "marathon"])
            let ours = try #require(cells.first)
            #expect(cells.dropFirst().allSatisfy { $0.late > ours.late && $0.reversals > ours.reversals || $0.law == "marathon" })
        }
        // Half as many again as none is none.
        #expect(table.cells.first { $0.law == "marathon" && $0.workload == "on/off" }?.late == 1)
    }
}
