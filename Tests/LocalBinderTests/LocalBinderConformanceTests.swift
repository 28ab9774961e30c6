import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct LocalBinderConformanceTests {
    @Test(arguments: BinderCases.all) func `the embedded broker in memory passes every case`(_ one: BinderCase) async throws {
        let binder = LocalBinder()
        #expect(one.missing(binder) == [])
        let bench = BinderBench(binder: binder, oversized: 17 << 20) { LocalBinder() }
        try await BinderBench.withRunning(binder) { try await one.run(bench) }
    }
}
