import Autoscaler
import Locking
import ScalingControl
import TestSupport
import Testing

/// What was decided survives, and is decided again as it was.
struct LedgerTests {
    let bench = Bench()

    /// Arrivals that rise and fall, with a source that is away now and then.
    private func feed(_ step: Int, _ source: FakeSource) {
        let published = Double(step * 120 + (step / 40 % 2) * 2000)
        if step % 17 == 16 { return source.set("orders", .unknown("away")) }
        source.set(
            "orders",
            QueueReport(
                QueueReading(
                    backlog: Reading(Double(step * 37 % 900)), published: Reading(published),
                    acknowledged: Reading(max(0, published - Double(step * 37 % 900))), oldest: Reading(Double(step % 70)))))
    }

    private func policy() -> ScalingPolicy {
        Bench.policy(conditions: [
            .forecast(ForecastCondition(season: 300)), .parameter(ParameterCondition(name: "factor", rule: .amount(share: 10))),
        ])
    }

    @Test func aServerThatIsKilledAtAnyPointGoesOnAsIfNothingHadBeen() async throws {
        // One that is never stopped, and one that is killed before each of some steps.
        func run(_ kills: Set<Int>) async throws -> [Decision] {
            try await withTemporaryFolder { folder in
                let bench = Bench()
                let target = FakeTarget()
                var decisions: [Decision] = []
                var engine = bench.engine([(policy(), target)], ledger: folder) { $0.parameters = ["factor": 30] }
                try await engine.open()
                for step in 0..<150 {
                    if kills.contains(step) {
                        // Without a word: nothing is closed. The lock on the file ends with the last reference.
                        engine = bench.engine([], ledger: nil)
                        var again = bench.engine([(policy(), target)], ledger: folder) { $0.parameters = ["factor": 30] }
                        try await eventually("the ledger is free") {
                            do {
                                try await again.open()
                                return true
                            } catch {
                                again = bench.engine([(policy(), target)], ledger: folder) { $0.parameters = ["factor": 30] }
                                return false
                            }
                        }
                        engine = again
                    }
                    feed(step, bench.source)
                    await engine.round()
                    bench.clock.advance(5)
                    decisions.append(try #require(try engine.view(of: "orders").last))
                }
                return decisions
            }
        }
        let whole = try await run([])
        let broken = try await run([1, 2, 59, 60, 61, 62, 100, 120, 121, 149])
        #expect(whole.map(\.seq) == Array(1...150))
        #expect(broken == whole)
    }

    @Test func decisionsOfThePastAreFoundAsTheyWere() async throws {
        let target = FakeTarget()
        let engine = bench.engine([(policy(), target)])
        try await engine.open()
        var decisions: [Decision] = []
        for step in 0..<200 {
            feed(step, bench.source)
            await engine.round()
            decisions.append(try #require(try engine.view(of: "orders").last))
            bench.clock.advance(5)
        }
        for index in [0, 1, 58, 59, 60, 61, 119, 120, 121, 199] {
            let found = try await engine.decision(of: "orders", at: decisions[index].time + 2)
            #expect(found?.decision == decisions[index])
        }
        #expect(try await engine.decision(of: "orders", at: decisions[0].time - 1) == nil)
        let some = try await engine.decisions(of: "orders", from: decisions[50].time, to: decisions[150].time, limit: 10_000)
        #expect(some == Array(decisions[50...150]))
        let applied = try #require(decisions.first { $0.outcome == .up })
        #expect(try await engine.decision(of: "orders", at: applied.time)?.result?.contains("\"applied\"") == true)
    }

    @Test func aChangedPolicyBeginsAnewBehindItsLastNumber() async throws {
        try await withTemporaryFolder { folder in
            let target = FakeTarget()
            do {
                let engine = bench.engine([(policy(), target)], ledger: folder)
                try await engine.open()
                for step in 0..<10 {
                    feed(step, bench.source)
                    await engine.round()
                    bench.clock.advance(5)
                }
            }
            var changed = policy()
            changed.maximum = 5
            let engine = bench.engine([(changed, target)], ledger: folder)
            try await eventually("the ledger is free") { (try? await engine.open()) != nil }
            let time = bench.clock.now
            feed(10, bench.source)
            await engine.round()
            let last = try #require(try engine.view(of: "orders").last)
            #expect(last.seq == 11)
            #expect(last.desired <= 5)
            bench.clock.advance(1)
            #expect(try await engine.decision(of: "orders", at: time)?.decision == last)
            #expect(try await engine.decision(of: "orders", at: time - 1)?.decision.seq == 10)
        }
    }

    @Test func whatIsOlderThanIsKeptIsForgotten() async throws {
        let ledger = Ledger(folder: nil)
        _ = try await ledger.open(boot: "")
        var state = PolicyState(Bench.policy())
        for hour in 0..<50 {
            let time = ManualClock.start + Double(hour) * 3600
            let snapshot = LedgerSnapshot(policy: "orders", term: 1, time: time, state: state, shadow: nil)
            let observation = Observation(time: time, elapsed: 3600, current: nil, queues: [.unknown])
            let decision = state.decide(observation)
            try await ledger.append(
                [
                    .snapshot(snapshot),
                    .decision(LedgerRecord(policy: "orders", seq: decision.seq, term: 1, instant: 0, observation: observation)),
                ], at: time)
        }
        try await ledger.forget(before: ManualClock.start + 20 * 3600)
        #expect(try await ledger.decision(of: "orders", at: ManualClock.start + 19 * 3600) == nil)
        #expect(try await ledger.decision(of: "orders", at: ManualClock.start + 20 * 3600)?.decision.seq == 21)
    }

    @Test func observationsSurviveTheirBytes() throws {
        var random = SystemRandomNumberGenerator()
        func reading() -> Reading {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: .unknown
            case 1: Reading(Double(Int.random(in: 0..<1_000_000_000, using: &random)))
            case 2: Reading(Double.random(in: 0..<1e6, using: &random), age: Double(Int.random(in: 0..<9999, using: &random)) / 1000)
            default: Reading(1e17, age: 0.1)
            }
        }
        for _ in 0..<500 {
            let queue = QueueReading(
                backlog: reading(), published: reading(), acknowledged: reading(), oldest: reading(), partitions: reading())
            let standing: Standing? = [nil, .owned("HPA"), .locked("x"), .held(until: 1e9 + 0.5), .set(7, until: 1e9)].randomElement()!
            let observation = Observation(
                time: ManualClock.start + Double(Int.random(in: 0..<100_000, using: &random)) / 1000,
                elapsed: Double.random(in: 0..<100, using: &random),
                current: Bool.random() ? nil : InstanceCount(desired: 3, ready: 2, starting: 1), queues: [queue, .unknown],
                resources: ["cpu": reading()], parameters: ["sale": reading()], standing: standing)
            var bytes: [UInt8] = []
            ObservationCodec.append(observation, to: &bytes)
            #expect(try ObservationCodec.read(bytes) == observation)
        }
    }

    @Test func bytesThatAreNoObservationAreRefused() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? ObservationCodec.read(bytes)  // no bytes trap
        }
        #expect(throws: ObservationCodec.Malformed.self) { try ObservationCodec.read([]) }
    }
}
