import Autoscaler
import Foundation
import ScalingFormats
import Settings
import Testing

/// The examples of the documentation, each rehearsed on arrivals that show what it says.
@Suite struct PolicyExampleTests {
    /// Every file that `Policies.md` shows, by the name of its policy.
    private static func examples() throws -> [String: ScalingPolicy] {
        let article = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/ScalingFormats/ScalingFormats.docc/Policies.md")
        let text = try String(contentsOf: article, encoding: .utf8)
        var policies: [String: ScalingPolicy] = [:]
        for block in text.components(separatedBy: "```yaml\n").dropFirst() {
            let path = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-example-\(UUID().uuidString).yaml").path
            defer { try? FileManager.default.removeItem(atPath: path) }
            try Data(block.components(separatedBy: "```")[0].utf8).write(to: URL(fileURLWithPath: path))
            let policy = try ScalingSection.read(path).entry(named: nil, of: path).policy
            policies[policy.name] = policy
        }
        return policies
    }

    private func policy(_ name: String) throws -> ScalingPolicy { try #require(Self.examples()[name]) }

    /// Arrivals by the minute, from a date on.
    private func history(
        from date: String, minutes: Int, columns: [String: Double] = [:], _ perMinute: (Int) -> Int
    ) throws -> History {
        let begin = try #require(TimeText.parse(date))
        var published = 0
        let rows = (0...minutes).map { minute in
            defer { published += perMinute(minute) }
            return History.Row(time: begin + Double(minute) * 60, published: published, others: columns.values.map { $0 })
        }
        return History(rows: rows, columns: Array(columns.keys), hasDates: true)
    }

    @Test func `the documentation has five`() throws {
        #expect(try Set(Self.examples().keys) == ["orders", "mails", "bulk", "checkout", "logins"])
    }

    @Test func `no message waits longer than a minute`() throws {
        let history = try history(from: "2026-11-26T08:00:00Z", minutes: 180) { (60..<120).contains($0) ? 15000 : 3000 }
        let summary = try Simulation(policy("orders"), history: history).run().run.summary
        #expect(summary.late == 0)
        #expect(try #require(summary.cost) < 1.6)
    }

    @Test func `office hours have their floor and nights their ceiling`() throws {
        // A Thursday; 22:00 in Berlin is 21:00 UTC.
        let history = try history(from: "2026-11-26T05:00:00Z", minutes: 20 * 60) { _ in 600 }
        let decisions = try Simulation(policy("mails"), history: history).run().decisions
        func desired(_ time: String) throws -> Int {
            let moment = try #require(TimeText.parse(time))
            return try #require(decisions.last { $0.time <= moment }).desired
        }
        #expect(try desired("2026-11-26T06:58:00Z") == 4)
        #expect(try desired("2026-11-26T06:59:59Z") == 5)
        #expect(try desired("2026-11-26T16:59:00Z") == 5)
        #expect(try desired("2026-11-26T20:59:59Z") == 4)
        #expect(try desired("2026-11-26T21:00:00Z") == 2)
    }

    @Test func `a batch on partitions is gone in its time, and then there is no instance`() throws {
        let history = try history(from: "2026-11-26T08:00:00Z", minutes: 60) { $0 == 5 ? 12_000 : 0 }
        let (run, decisions) = try Simulation(policy("bulk"), history: history).run()
        #expect(run.summary.late == 0)
        #expect(Set(decisions.map(\.desired)).isSubset(of: [0, 1, 2, 3, 4, 6, 12]))
        #expect(run.summary.peak >= 4)
        #expect(decisions.last?.desired == 0)
    }

    @Test func `the floor has risen at the end of a sale`() throws {
        let ends = try #require(TimeText.parse("2026-11-26T10:00:00Z"))
        let history = try history(from: "2026-11-26T08:00:00Z", minutes: 180, columns: ["sale.ends": ends]) { _ in 60 }
        let decisions = try Simulation(policy("checkout"), history: history).run().decisions
        func desired(at offset: Seconds) throws -> Int { try #require(decisions.last { $0.time <= ends + offset }).desired }
        #expect(try [-3700, -1800, 0, 890, 1000].map { try desired(at: $0) } == [2, 15, 30, 30, 2])
    }

    @Test func `a morning like the one before is met by instances that are ready`() throws {
        func late(_ policy: ScalingPolicy, days: Int) throws -> (SimulationSummary, [Decision]) {
            let history = try history(from: "2026-11-23T00:00:00Z", minutes: days * 1440) { minute in
                (480..<540).contains(minute % 1440) ? 9000 : 600
            }
            let (run, decisions) = Simulation(policy, history: history).run()
            return (run.summary, decisions)
        }
        let policy = try policy("logins")
        var without = policy
        without.conditions.removeLast()
        let (with, decisions) = try late(policy, days: 4)
        #expect(try #require(with.late) < #require(late(without, days: 4).0.late))
        let begin = try #require(decisions.first).time
        #expect(try #require(decisions.first { $0.conditions[1].floor != nil }).time >= begin + 2 * 86400)
    }
}
