import Autoscaler
import Foundation
import Lifecycle
import LocalBinder
import Locking
import ScalingControl
import Streams
import TestSupport

/// Both clocks, moved by hand.
final class ManualClock: Sendable {
    private let time = Locked(0.0)
    /// 2026-11-26T08:00:00Z
    static let start = 1_795_680_000.0
    func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
    var now: Double { Self.start + time.withLock { $0 } }
    var clock: ScalingClock {
        ScalingClock(steady: { [self] in 1000 + time.withLock { $0 } }, wall: { [self] in now }, boot: "test")
    }
}

/// A source whose answers a test sets.
final class FakeSource: BacklogSource {
    let name = "fake source"
    private struct State {
        var reports: [String: QueueReport] = [:]
        var reads: [Set<String>] = []
        var gate: ShutdownSignal?
        var changed: (@Sendable (String) -> Void)?
    }
    private let state = Locked(State())

    func set(_ queue: String, _ report: QueueReport) { state.withLock { $0.reports[queue] = report } }
    func set(_ queue: String, backlog: Double, published: Double) {
        set(queue, QueueReport(QueueReading(backlog: Reading(backlog), published: Reading(published))))
    }
    /// Answers come only when the gate is opened.
    func close(_ gate: ShutdownSignal?) { state.withLock { $0.gate = gate } }
    var reads: [Set<String>] { state.withLock { $0.reads } }
    func push(_ queue: String) { state.withLock { $0.changed }?(queue) }
    var isWatched: Bool { state.withLock { $0.changed != nil } }

    func read(_ queues: Set<String>, within limit: Duration) async -> [String: QueueReport] {
        let gate = state.withLock { state in
            state.reads.append(queues)
            return state.gate
        }
        if let gate { await gate.wait(atMost: limit) }
        return state.withLock { $0.reports }
    }

    func watch(_ queues: Set<String>, _ changed: @escaping @Sendable (String) -> Void) async {
        state.withLock { $0.changed = changed }
        await ShutdownSignal().wait()
    }
}

/// An orchestrator whose instances are there at once, or start until a test says otherwise.
final class FakeTarget: ScalingTarget {
    let name: String
    struct State {
        var observation = TargetObservation(InstanceCount(desired: 0, ready: 0, starting: 0))
        var failure: TargetError?
        var orders: [ScaleOrder] = []
        /// Given to orders, first to last, before they are carried out.
        var answers: [Result<ScaleResult, TargetError>] = []
        var observations = 0
        var onScale: (@Sendable (inout State) -> Void)?
        var gate: ShutdownSignal?
    }
    let state = Locked(State())

    init(_ name: String = "fake") { self.name = name }

    func update(_ body: @Sendable (inout State) -> Void) { state.withLock { body(&$0) } }
    func set(_ count: Int) { update { $0.observation.count = InstanceCount(desired: count, ready: count, starting: 0) } }
    var orders: [ScaleOrder] { state.withLock { $0.orders } }
    var counts: [Int] { orders.map(\.count) }

    func observe() async throws(TargetError) -> TargetObservation {
        if let gate = state.withLock({ $0.gate }) { await gate.wait() }
        let result = state.withLock { state -> Result<TargetObservation, TargetError> in
            state.observations += 1
            return state.failure.map { .failure($0) } ?? .success(state.observation)
        }
        return try result.get()
    }

    func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        let result = state.withLock { state -> Result<ScaleResult, TargetError> in
            state.orders.append(order)
            state.onScale?(&state)
            if !state.answers.isEmpty { return state.answers.removeFirst() }
            state.observation.count = InstanceCount(desired: order.count, ready: order.count, starting: 0)
            return .success(.applied(reference: nil))
        }
        return try result.get()
    }
}

/// Some policies with a source, targets, a ledger and an embedded broker.
struct Bench {
    let clock = ManualClock()
    let source = FakeSource()
    let binder = LocalBinder()

    static func policy(
        _ name: String = "orders", min: Int = 0, max: Int = 40, wait: Double = 60, conditions: [ScalingCondition] = [], poll: Double = 5
    ) -> ScalingPolicy {
        ScalingPolicy(
            name: name, minimum: min, maximum: max,
            conditions: [.queue(QueueCondition(destination: name, objective: .wait(wait)))] + conditions,
            instance: ScalingPolicy.InstanceBelief(rate: 10, start: 20), poll: poll, idle: 60, downWindow: 60)
    }

    func engine(
        _ policies: [(ScalingPolicy, (any ScalingTarget)?)], shadows: [String: ScalingPolicy] = [:], sources: [FakeSource] = [],
        binder: (any Binder)? = nil, ledger: String? = nil, _ change: (inout ScalingEngine.Configuration) -> Void = { _ in }
    ) -> ScalingEngine {
        var configuration = ScalingEngine.Configuration()
        configuration.server = "one"
        change(&configuration)
        let asked = sources.isEmpty ? [source] : sources
        var queues = [[String]](repeating: [], count: asked.count)
        let plans = policies.enumerated().map { index, one in
            let place = index % asked.count
            let numbers = one.0.queues.map { queue in
                queues[place].append(queue.destination)
                return PlannedPolicy.QueueNumber(source: place, queue: queues[place].count - 1)
            }
            return PlannedPolicy(one.0, queues: numbers, target: one.1, shadow: shadows[one.0.name])
        }
        return ScalingEngine(
            plans, sources: zip(asked, queues).map { AskedSource($0, queues: $1) },
            ledger: Ledger(folder: ledger), binder: binder ?? self.binder, configuration: configuration,
            clock: clock.clock)
    }
}
