import Bus
import Convergence
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

@Suite struct BusLocalBinderTests {
    @Test func `over the embedded broker twenty instances take one refresh each, and the server knows of all of them`() async throws {
        let binder = LocalBinder()
        let applied = Collected<String>()
        let convergence = FleetConvergence()
        let ids = (0..<20).map { "app\($0 % 4):\(8000 + $0):x\($0)" }
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await binder.run(ServiceLife(shutdown: shutdown)) }
            defer { shutdown.request() }
            try await withBuses(ids + ["config-server:8888:s"], over: binder) { bus in
                guard bus.id.application != "config-server" else { return convergence.watch(bus) }
                bus.setRunning(RunningConfiguration(version: "v1"))
                bus.handle(.refresh) { message in
                    applied.add(bus.id.text)
                    return EventBus.Handled(.applied, running: RunningConfiguration(version: message.details.version))
                }
            } _: { buses in
                let server = try #require(buses.last)
                try await eventually("the roll is called") { convergence.knownIDs == ids.sorted() }
                try await server.refresh("app1", details: RefreshDetails(version: "v2"))
                try await server.refresh(details: RefreshDetails(version: "v3"))
                for version in ["v2", "v3"] {
                    let all = await convergence.wait(atMost: .seconds(60)) { $0.fleet(version: version, at: $1).haveConverged() }
                    #expect(all, "\(version)")
                }
                #expect(applied.count == 25)
            }
        }
    }
}
