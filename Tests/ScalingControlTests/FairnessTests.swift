import Autoscaler
import Lifecycle
import ScalingControl
import TestSupport
import Testing

/// What is slow delays nobody else.
struct FairnessTests {
    let bench = Bench()

    @Test func aSourceIsReadOnceInARoundForAllPolicies() async throws {
        let targets = (0..<20).map { FakeTarget("fake \($0)") }
        let engine = bench.engine(targets.enumerated().map { (Bench.policy("q\($0.offset)"), $0.element) })
        try await engine.open()
        await engine.round()
        #expect(bench.source.reads == [Set((0..<20).map { "q\($0)" })])
    }

    @Test func aSourceThatDoesNotAnswerDelaysOnlyThosePoliciesThatAskIt() async throws {
        let slow = FakeSource()
        let gate = ShutdownSignal()
        slow.close(gate)
        let targets = [FakeTarget("fake a"), FakeTarget("fake b")]
        let engine = bench.engine(
            [(Bench.policy("fast"), targets[0]), (Bench.policy("slow"), targets[1])], sources: [bench.source, slow])
        try await engine.open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.round() }
            try await eventually("the fast policy has decided") { (try? engine.view(of: "fast").last) != nil }
            #expect(try engine.view(of: "slow").last == nil)
            // The next round goes on with the one that is free.
            bench.clock.advance(5)
            try await eventually("the fast one decides once more") {
                await engine.round()
                return try engine.view(of: "fast").last?.seq ?? 0 > 1
            }
            gate.request()
            try await group.waitForAll()
        }
        #expect(try engine.view(of: "slow").last?.seq == 1)
    }

    @Test func anOrchestratorThatDoesNotAnswerDelaysOnlyItsOwnPolicy() async throws {
        let (fast, slow) = (FakeTarget("fake fast"), FakeTarget("fake slow"))
        let gate = ShutdownSignal()
        slow.update { $0.gate = gate }
        let engine = bench.engine([(Bench.policy("fast"), fast), (Bench.policy("slow"), slow)])
        try await engine.open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.round() }
            try await eventually("the fast policy has decided") { (try? engine.view(of: "fast").last) != nil }
            bench.clock.advance(5)
            try await eventually("the fast one decides once more") {
                await engine.round()
                return try engine.view(of: "fast").last?.seq ?? 0 > 1
            }
            gate.request()
            try await group.waitForAll()
        }
        #expect(try engine.view(of: "slow").last?.seq == 1)
    }

    @Test func aThousandPoliciesDecideOnceEachInARound() async throws {
        let targets = (0..<1000).map { FakeTarget("fake \($0)") }
        let engine = bench.engine(targets.enumerated().map { (Bench.policy("q\($0.offset)"), $0.element) })
        for index in 0..<1000 { bench.source.set("q\(index)", backlog: Double(index), published: Double(index)) }
        try await engine.open()
        for round in 1...3 {
            await engine.round()
            bench.clock.advance(5)
            #expect(engine.views.allSatisfy { $0.last?.seq == round })
        }
    }

    @Test func aPushedQueueIsLookedAtWithoutWaitingForThePoll() async throws {
        let target = FakeTarget()
        let engine = bench.engine([(Bench.policy(poll: 3600), target)]) { $0.poll = 3600 }
        bench.source.set("orders", backlog: 0, published: 0)
        let life = ServiceLife()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await engine.run(life) }
            try await eventually("a first decision, and the source is watched") {
                (try? engine.view(of: "orders").last) != nil && bench.source.isWatched
            }
            bench.clock.advance(5)
            bench.source.set("orders", backlog: 600, published: 600)
            bench.source.push("orders")
            try await eventually("an order") { !target.orders.isEmpty }
            life.shutdown.request()
            try await group.waitForAll()
        }
    }

    /// Where each event looked at all policies this took many minutes.
    @Test(.timeLimit(.minutes(1))) func anEventCostsThePoliciesThatItConcernsAndNotAll() async throws {
        let count = 20_000
        let engine = bench.engine(
            (0..<count).map { number in
                (
                    Bench.policy("q\(number)", conditions: [.parameter(ParameterCondition(name: "p\(number)", rule: .amount(share: 10)))]),
                    nil
                )
            })
        #expect(engine.parameterNames.count == count)
        for number in 0..<count { #expect(engine.tell(parameter: "p\(number)", "30")) }
        #expect(!engine.tell(parameter: "other", "30"))
    }
}
