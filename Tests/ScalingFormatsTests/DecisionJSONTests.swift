import Autoscaler
import ConfigModel
import Foundation
import JSON
import ScalingFormats
import Testing

/// The one form of a decision outside.
@Suite struct DecisionJSONTests {
    private var policy: ScalingPolicy {
        ScalingPolicy(
            name: "orders", minimum: 0, maximum: 40,
            conditions: [
                .queue(QueueCondition(destination: "orders", objective: .wait(60))),
                .window(WindowCondition(times: .daily(start: 540, end: 1020), zone: .gmt, floor: 3)),
                .resource(ResourceCondition(name: "cpu", target: 0.7)),
            ], instance: ScalingPolicy.InstanceBelief(rate: 7.3, start: 33), poll: 7)
    }

    private var decisions: [Decision] {
        var rows = [History.Row(time: 1_795_678_200.123, published: 0, others: [1])]
        for minute in 1...60 {
            rows.append(
                History.Row(
                    time: rows[0].time + Double(minute) * 60, published: minute % 9 == 0 ? nil : minute * minute * 37,
                    others: [minute % 7 == 0 ? nil : Double(minute) / 9]))
        }
        return Simulation(policy, history: History(rows: rows, columns: ["cpu"], hasDates: true)).run().decisions
    }

    private func text(_ decision: Decision, _ times: DecisionJSON.Times = .dates) -> [UInt8] {
        var writer = JSONWriter()
        DecisionJSON.write(decision, times: times, to: &writer)
        return writer.bytes
    }

    @Test(arguments: [DecisionJSON.Times.dates, .seconds])
    func `a recorded stream is read as it was, and decided again the same`(times: DecisionJSON.Times) throws {
        let decisions = decisions
        let recorded = try decisions.map { try DecisionJSON.read(JSONReader.read(text($0, times))) }
        #expect(recorded == decisions)
        #expect(replay(recorded, by: policy).map { text($0, times) } == decisions.map { text($0, times) })
    }

    @Test func `it has the fields that everybody builds on`() throws {
        let first = try #require(decisions.first { $0.outcome == .up })
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text(first))) as? [String: Any])
        let fields = [
            "seq", "time", "policy", "current", "desired", "outcome", "inputs", "conditions", "won", "clamps", "because", "unless",
        ]
        for field in fields { #expect(object[field] != nil, "\(field)") }
        #expect((object["time"] as? String)?.hasPrefix("2026-11-26T") == true)
        #expect(object["outcome"] as? String == "up")
        #expect((object["current"] as? [String: Int])?.keys.sorted() == ["desired", "ready", "starting"])
        let inputs = try #require(object["inputs"] as? [String: [String: Any]])
        for input in ["backlog", "arrivals"] {
            #expect(inputs[input]?["value"] != nil)
            #expect(inputs[input]?["age"] != nil)
        }
        let condition = try #require((object["conditions"] as? [[String: Any]])?.first)
        #expect(Set(["kind", "floor", "desired", "ceiling", "reason"]).isSubset(of: condition.keys))
        #expect((object["unless"] as? [String: String])?.keys.sorted() == ["down", "up"])
    }

    @Test func `what is not known is null`() throws {
        let unknown = try #require(decisions.first { $0.input("backlog")?.value == nil && $0.outcome == .hold })
        let value = try JSONReader.read(text(unknown))
        #expect(value["inputs"]?["backlog"]?["value"] == .null)
        #expect(value["conditions"]?.items.first?["unknown"] == .boolean(true))
    }

    @Test(arguments: ["{}", "[]", "{\"seq\":1}", "null"])
    func `what is no decision is refused`(text: String) throws {
        let value = try JSONReader.read(Array(text.utf8))
        #expect(throws: DecisionJSON.Unreadable.self) { try DecisionJSON.read(value) }
    }

    @Test(arguments: [
        Standing.owned("HorizontalPodAutoscaler shop/orders"), .locked("deployment 7 runs"), .held(until: 1_795_680_000.5),
        .set(7, until: 1_795_680_000),
    ]) func `what stood above the conditions is read as it was`(standing: Standing) throws {
        var state = PolicyState(policy)
        let observation = Observation(
            time: 1_795_678_000, elapsed: 5, current: InstanceCount(desired: 3, ready: 3, starting: 0), queues: [.unknown],
            standing: standing)
        let decision = state.decide(observation)
        let read = try DecisionJSON.read(JSONReader.read(text(decision)))
        #expect(read == decision)
        #expect(replay([read], by: policy) == [decision])
    }
}
