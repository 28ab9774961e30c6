import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct LocalBinderConformanceTests {
    @Test func `the embedded broker in memory passes every case`() async throws {
        try await demandConformance("local", LocalBinder(limits: Self.limits)) { LocalBinder() }
    }

    @Test func `the embedded broker with a durable log passes every case`() async throws {
        try await withTemporaryFolder { folder in
            var limits = Self.limits
            limits.memoryBytes = 4096
            let number = Counter()
            try await demandConformance("local-durable", LocalBinder(storage: .folder(folder), limits: limits)) {
                number.add()
                return LocalBinder(storage: .folder("\(folder)/fresh\(number.value)"))
            }
        }
    }

    /// Few enough events that a group can be filled up.
    private static let limits = LocalLimits(backlogEvents: 6000)

    private func demandConformance(_ name: String, _ binder: LocalBinder, _ fresh: @escaping @Sendable () -> LocalBinder) async throws {
        var variants = BinderVariants()
        variants.bounded = { _, _, limit in LocalBinder(limits: LocalLimits(backlogEvents: limit)) }
        var control = BrokerControl()
        control.block = { destination in
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<100 {
                    tasks.addTask { while (try? await binder.publish(Envelope(text: "more"), to: destination)) != nil {} }
                }
            }
        }
        control.unblock = { _ in }  // a consumer has made room
        let tools = (variants, control)
        let report = try await BinderBench.withRunning(binder) {
            await ConformanceRun().report(of: name, capabilities: binder.capabilities) { _ in
                BinderBench(binder: binder, oversized: 17 << 20, variants: tools.0, control: tools.1, fresh: { fresh() })
            }
        }
        print(report.line)
        for failure in report.failures { Issue.record("\(failure.summary)") }
        #expect(report.results.count == BinderCases.all.count)
    }
}
