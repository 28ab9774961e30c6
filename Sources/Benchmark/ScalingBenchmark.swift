import Autoscaler
import BacklogSources
import Foundation
import LocalBinder
import Locking
import ScalingControl
import Streams

/// What a round of the live scaling costs with many policies in one process: each has a queue of its own on the embedded broker, and workers that
/// are there at once. Every decision goes into a ledger on the disk and over the broker, as in a server.
struct ScalingBenchmark: Comparison {
    let name = "scaling"
    let summary = "a round of 10,000 scaling policies over 10,000 queues"

    func run(_ settings: BenchmarkSettings) async throws -> [Measure] {
        let count = settings.isQuick ? 500 : 10_000
        let rounds = settings.isQuick ? 3 : 20
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("carillon-scaling-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var limits = LocalLimits()
        limits.names = 4 * count
        let binder = LocalBinder(limits: limits)
        let queues = try (0..<count).map { DestinationGroup(try Destination("queue-\($0)"), try ConsumerGroup("workers")) }
        for queue in queues { try await binder.prepare(group: queue.group, of: queue.destination) }
        let source = CountedSource(BrokerSource(name: "the embedded broker", binder))
        let before = Self.memory
        let plans = queues.indices.map { index in
            PlannedPolicy(
                ScalingPolicy(
                    name: "policy-\(index)", maximum: 40,
                    conditions: [.queue(QueueCondition(destination: queues[index].destination.name, objective: .wait(60)))],
                    instance: ScalingPolicy.InstanceBelief(rate: 10, start: 20)),
                queues: [.init(source: 0, queue: index)], target: ImmediateTarget())
        }
        let time = Locked(0.0)
        let clock = ScalingClock(
            steady: { 1000 + time.withLock { $0 } }, wall: { 1_795_680_000 + time.withLock { $0 } }, boot: "benchmark")
        let engine = ScalingEngine(
            plans, sources: [AskedSource(source, queues: queues)], ledger: Ledger(folder: folder), binder: binder, clock: clock)
        try await engine.open()
        var seconds: [Double] = []
        var elapsed: [Double] = []
        for round in 0..<rounds + 2 {
            for index in stride(from: round % 10, to: count, by: 10) {
                _ = try await binder.publish(Envelope(text: "work"), to: queues[index].destination)
            }
            time.withLock { $0 += 5 }
            let (cpu, start) = (BrokerSide.processorTime, ContinuousClock.now)
            await engine.round()
            // The first rounds write the first snapshot of every policy.
            if round >= 2 {
                seconds.append(BrokerSide.processorTime - cpu)
                elapsed.append(start.duration(to: .now) / .seconds(1))
            }
        }
        let memory = max(0, Self.memory - before)
        let file = (try? FileManager.default.attributesOfItem(atPath: folder + "/ledger.sqlite")[.size] as? Int) ?? 0
        return [
            Measure(what: "CPU of a round of \(count) policies", unit: "s", ours: seconds, higherIsBetter: false),
            Measure(what: "a round of \(count) policies", unit: "s", ours: elapsed, higherIsBetter: false),
            Measure(
                what: "memory of a policy", unit: "KB", ours: [memory / Double(count) / 1024], higherIsBetter: false),
            Measure(
                what: "broker calls a poll", unit: "", ours: [Double(source.reads) / Double(rounds + 2)], higherIsBetter: false),
            Measure(
                what: "ledger for each decision", unit: "bytes",
                ours: [Double(file) / Double(count * (rounds + 2))], higherIsBetter: false),
        ]
    }

    /// Resident bytes.
    private static var memory: Double {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// Counts how often the broker is asked.
private final class CountedSource: BacklogSource {
    let name: String
    private let source: BrokerSource
    private let count = Locked(0)

    init(_ source: BrokerSource) {
        self.source = source
        name = source.name
    }

    var reads: Int { count.withLock { $0 } }

    func read(_ queues: Set<DestinationGroup>, within limit: Duration) async -> [DestinationGroup: QueueReport] {
        count.withLock { $0 += 1 }
        return await source.read(queues, within: limit)
    }
}

/// Has what was ordered at once.
private final class ImmediateTarget: ScalingTarget {
    let name = "immediate"
    private let count = Locked(1)

    func observe() async throws(TargetError) -> TargetObservation {
        let count = count.withLock { $0 }
        return TargetObservation(InstanceCount(desired: count, ready: count, starting: 0))
    }

    func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        count.withLock { $0 = order.count }
        return .applied(reference: nil)
    }
}
