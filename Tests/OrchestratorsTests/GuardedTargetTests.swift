import Autoscaler
import Lifecycle
import Locking
import TestSupport
import Testing

@testable import Orchestrators

/// An orchestrator in memory: a count that others write too, with a fence.
private final class Plant: ScalingTarget {
    struct State {
        var count = 3
        var version = 1
        var owner: String?
        var locked: String?
        /// What others write before the next orders are taken: nil writes the same count again.
        var others: [Int?] = []
        var written: [ScaleOrder] = []
        var underWay = 0
        var mostUnderWay = 0
        var failures: [TargetError] = []
    }
    let name = "plant"
    let state = Locked(State())
    /// Orders are held until this is given.
    let gate: ShutdownSignal?

    init(gate: ShutdownSignal? = nil) { self.gate = gate }

    func observe() async throws(TargetError) -> TargetObservation {
        state.withLock {
            TargetObservation(
                InstanceCount(desired: $0.count, ready: $0.count, starting: 0), fence: "\($0.version)", owner: $0.owner, locked: $0.locked)
        }
    }

    func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        state.withLock {
            $0.underWay += 1
            $0.mostUnderWay = max($0.mostUnderWay, $0.underWay)
        }
        if let gate { await gate.wait() } else { await Task.yield() }
        let result = state.withLock { state -> Result<ScaleResult, TargetError> in
            state.underWay -= 1
            if !state.failures.isEmpty { return .failure(state.failures.removeFirst()) }
            if !state.others.isEmpty {
                state.count = state.others.removeFirst() ?? state.count
                state.version += 1
            }
            guard order.fence == nil || order.fence == "\(state.version)" else { return .success(.conflict("version \(state.version)")) }
            state.written.append(order)
            if state.count == order.count { return .success(.unchanged) }
            state.count = order.count
            state.version += 1
            return .success(.applied(reference: "\(state.version)"))
        }
        return try result.get()
    }
}

@Suite(.timeLimit(.minutes(5))) struct GuardedTargetTests {
    private static func order(_ count: Int, seq: Int, term: Int = 1, fence: String? = nil) -> ScaleOrder {
        ScaleOrder(policy: "orders", seq: seq, term: term, count: count, fence: fence, because: "a test wants it")
    }

    @Test func `counts are clamped to the policy's own range`() async throws {
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 2, maximum: 5)
        #expect(try await guarded.scale(Self.order(1_000_000, seq: 1)) == .applied(reference: "2"))
        #expect(try await guarded.scale(Self.order(-4, seq: 2)) == .applied(reference: "3"))
        #expect(plant.state.withLock { $0.written.map(\.count) } == [5, 2])
        #expect(guarded.name == "plant" && guarded.range == 2...5)
    }

    @Test func `what is old does not pass, and the same again does nothing again`() async throws {
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9, term: 3)
        for old in [Self.order(1, seq: 9, term: 2), Self.order(1, seq: 9, term: 0)] {
            let error = await #expect(throws: TargetError.self) { try await guarded.scale(old) }
            #expect(error?.kind == .rejected && error?.message.contains("term 3") == true)
        }
        #expect(try await guarded.scale(Self.order(5, seq: 9, term: 3)) == .applied(reference: "2"))
        plant.state.withLock { $0.count = 6 }
        #expect(try await guarded.scale(Self.order(5, seq: 9, term: 3)) == .unchanged)
        #expect(plant.state.withLock { $0.count } == 6)
        await #expect(throws: TargetError.self) { try await guarded.scale(Self.order(7, seq: 8, term: 3)) }
        // Another leader: its numbers are its own.
        #expect(try await guarded.scale(Self.order(7, seq: 1, term: 4)) == .applied(reference: "3"))
        await #expect(throws: TargetError.self) { try await guarded.scale(Self.order(5, seq: 10, term: 3)) }
        await guarded.begin(term: 5)
        await #expect(throws: TargetError.self) { try await guarded.scale(Self.order(5, seq: 11, term: 4)) }
        #expect(plant.state.withLock { $0.written.count } == 2)
    }

    @Test func `an order that was not carried out may come again`() async throws {
        let plant = Plant()
        plant.state.withLock { $0.failures = [TargetError(.unavailable, "away")] }
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9)
        await #expect(throws: TargetError(.unavailable, "away")) { try await guarded.scale(Self.order(5, seq: 1)) }
        #expect(try await guarded.scale(Self.order(5, seq: 1)) == .applied(reference: "2"))
    }

    @Test func `a target that is owned or locked is not written`() async throws {
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9)
        plant.state.withLock { $0.owner = "HorizontalPodAutoscaler shop/orders" }
        let error = await #expect(throws: TargetError.self) { try await guarded.scale(Self.order(5, seq: 1)) }
        #expect(error?.kind == .rejected && error?.message.contains("HorizontalPodAutoscaler shop/orders") == true)
        plant.state.withLock { ($0.owner, $0.locked) = (nil, "deployment 7") }
        _ = try await guarded.observe()
        #expect(try await guarded.scale(Self.order(5, seq: 2)) == .locked("deployment 7"))
        plant.state.withLock { $0.locked = nil }
        #expect(plant.state.withLock { $0.written.isEmpty })
        _ = try await guarded.observe()
        #expect(try await guarded.scale(Self.order(5, seq: 3)) == .applied(reference: "2"))
    }

    @Test func `after a conflict the order is repeated while the count is unchanged`() async throws {
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9)
        plant.state.withLock { $0.others = [nil, nil] }
        let fence = try await guarded.observe().fence
        #expect(try await guarded.scale(Self.order(5, seq: 1, fence: fence)) == .applied(reference: "4"))
        // Four in a row get through in a few polls.
        plant.state.withLock { $0.others = [nil, nil, nil, nil] }
        var polls = 0
        while plant.state.withLock({ $0.count }) != 7, polls < 8 {
            polls += 1
            let fence = try await guarded.observe().fence
            _ = try await guarded.scale(Self.order(7, seq: 1 + polls, fence: fence))
        }
        #expect(polls <= 2)
    }

    @Test func `a count that somebody else has set is left alone`() async throws {
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9)
        plant.state.withLock { $0.others = [8] }
        let fence = try await guarded.observe().fence
        guard case .conflict(let reason) = try await guarded.scale(Self.order(5, seq: 1, fence: fence)) else {
            Issue.record("no conflict")
            return
        }
        #expect(reason.contains("is 8 now") && plant.state.withLock { $0.count } == 8)
    }

    @Test func `one is under way at a time, and what is overtaken while it waits is not carried out`() async throws {
        let gate = ShutdownSignal()
        let plant = Plant(gate: gate)
        let guarded = GuardedTarget(plant, minimum: 0, maximum: 9)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await guarded.scale(Self.order(1, seq: 1)) }
            try await eventually("the first is under way") { plant.state.withLock { $0.underWay } == 1 }
            let refused = Recorded<Int>()
            for seq in 2...20 {
                group.addTask {
                    do { _ = try await guarded.scale(Self.order(seq % 9, seq: seq)) } catch { refused.add(seq) }
                }
            }
            // Those that come after a newer one, or are overtaken while they wait, are refused: all but the newest.
            try await eventually("the newest is known") { await guarded.newest == 20 }
            gate.request()
            try await group.waitForAll()
            #expect(!refused.all.contains(20))
        }
        let (written, most) = plant.state.withLock { ($0.written.map(\.seq), $0.mostUnderWay) }
        #expect(most == 1 && written == written.sorted() && written.last == 20)
    }

    /// Leaders, polls and others at random: counts within the range, numbers rising within rising terms, one at a time.
    @Test(arguments: 0..<50) func holdsItsBounds(seed: UInt64) async throws {
        var random = SplitMix(state: seed)
        let plant = Plant()
        let guarded = GuardedTarget(plant, minimum: 1, maximum: 6)
        var orders: [ScaleOrder] = []
        for _ in 0..<60 {
            let fence = Bool.random(using: &random) ? try await guarded.observe().fence : nil
            orders.append(
                Self.order(
                    Int.random(in: -3...12, using: &random), seq: Int.random(in: 1...40, using: &random),
                    term: Int.random(in: 1...3, using: &random), fence: fence))
        }
        for index in 0..<20 {
            if Int.random(in: 0..<3, using: &random) == 0 {
                plant.state.withLock { $0.others.append(Bool.random(using: &random) ? nil : Int.random(in: 0...9, using: &random)) }
            }
            let some = orders[(index * 3)..<(index * 3 + 3)]
            await withTaskGroup(of: Void.self) { group in
                for order in some { group.addTask { _ = try? await guarded.scale(order) } }
                group.addTask { _ = try? await guarded.observe() }
            }
        }
        let (written, most) = plant.state.withLock { ($0.written, $0.mostUnderWay) }
        #expect(most <= 1)
        #expect(written.allSatisfy { (1...6).contains($0.count) })
        for (one, next) in zip(written, written.dropFirst()) {
            #expect((one.term, one.seq) <= (next.term, next.seq), "\(one.id) before \(next.id)")
        }
        #expect(Set(written.map(\.id)).count == written.count)
    }
}
