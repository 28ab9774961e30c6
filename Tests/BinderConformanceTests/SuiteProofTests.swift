import Channels
import HTTPBinder
import HTTPClient
import Lifecycle
import LocalBinder
import Streams
import TestSupport
import Testing

/// That the suite finds what it is there to find: each fault of a binder fails the case that is meant for it, and without a fault it passes.
@Suite(.timeLimit(.minutes(3))) struct SuiteProofTests {
    /// Which case finds which fault.
    private static let finders: [(Fault, String)] = [
        (.losesOne, "G3"), (.sendsTwice, "B2"), (.swapsTwo, "G5"), (.corruptsPayloads, "A1"), (.changesHeaders, "A2"), (.addsHeader, "A2"),
        (.dropsKeys, "A8"), (.takesAnySize, "A5"), (.takesAnySize, "A9"), (.acceptsEarly, "B6"), (.acceptsEarly, "C11"),
        (.forgetsAcceptance, "C5"), (.forgetsAcceptance, "C15"), (.keepsNoDeadLetters, "C4"), (.forgetsDelays, "C3"),
        (.forgetsDelays, "C10"), (.countsNoAttempts, "C2"), (.ignoresPrefetch, "C1"), (.dropsWhatIsInHand, "C2"), (.sharesNothing, "B2"),
        (.mixesDestinations, "A7"), (.isReadyTooEarly, "B9"), (.ignoresStart, "B7"), (.publishesAfterTheEnd, "F3"), (.saysNoEnd, "I2"),
        (.liesAboutBacklog, "I1"), (.replaysToAll, "C14"), (.forgetsTrace, "I4"),
    ]
    private static let connectionFinders: [(Fault, String)] = [
        (.claimsSuccess, "E3"), (.claimsSuccess, "G6"), (.confirmsEarly, "G1"), (.hidesInterruptions, "E4"), (.saysAlwaysReady, "E2"),
        (.saysAlwaysReady, "I2"),
    ]

    private static func one(_ id: String) throws -> BinderCase { try #require(BinderCases.all.first { $0.id == id }) }

    private static func bench(_ fault: Fault?) -> BinderBench {
        @Sendable func binder() -> any Binder { fault.map { FaultyBinder($0, over: LocalBinder()) } ?? LocalBinder() }
        return BinderBench(
            binder: binder(), oversized: 17 << 20, times: BenchTimes(patience: fault == nil ? .seconds(40) : .seconds(3)),
            fresh: { binder() })
    }

    @Test(arguments: finders) func `a fault fails the case that is meant for it`(fault: Fault, id: String) async throws {
        let one = try Self.one(id)
        let bench = Self.bench(fault)
        try await BinderBench.withRunning(bench.binder) {
            _ = await #expect(throws: (any Error).self, "\(one) did not find that a binder \(fault)") { try await one.run(bench) }
        }
    }

    @Test(arguments: Set(finders.map(\.1)).sorted()) func `the same case passes without the fault`(id: String) async throws {
        let bench = Self.bench(nil)
        try await BinderBench.withRunning(bench.binder) { try await Self.one(id).run(bench) }
    }

    @Test func `a binder that hangs fails its case in time`() async throws {
        let bench = Self.bench(.hangs)
        let start = ContinuousClock.now
        try await BinderBench.withRunning(bench.binder) {
            let error = await #expect(throws: CaseFailed.self) {
                try await Self.one("A1").run(bench, within: .milliseconds(300), grace: .milliseconds(300))
            }
            #expect(error?.description.contains("not even when it was cancelled") == true)
        }
        #expect(ContinuousClock.now - start < .seconds(15))
    }

    @Test(arguments: connectionFinders) func `a fault of connections fails the case that is meant for it`(
        fault: Fault, id: String
    ) async throws {
        try await Self.withServer { url, port in
            let one = try Self.one(id)
            let bench = Self.remoteBench(fault, url, port)
            try await BinderBench.withRunning(bench.binder) {
                // A connection may happen to break between two events, where it does no harm.
                var wasFound = false
                for _ in 1...5 where !wasFound {
                    do { try await one.run(bench) } catch { wasFound = true }
                }
                #expect(wasFound, "\(one) did not find that a binder \(fault)")
            }
        }
    }

    @Test(arguments: Set(connectionFinders.map(\.1)).sorted()) func `the same case passes over a sound connection`(id: String) async throws
    {
        try await Self.withServer { url, port in
            let bench = Self.remoteBench(nil, url, port)
            try await BinderBench.withRunning(bench.binder) { try await Self.one(id).run(bench) }
        }
    }

    @Test func `a capability that the bench cannot try fails its cases`() async throws {
        try await Self.withServer { url, _ in
            let binder = HTTPBinder(configuration: HTTPBinderConfiguration(url: url))
            let bench = BinderBench(binder: binder, fresh: { binder })
            let one = try Self.one("E3")
            #expect(one.missing(bench) == [])
            let error = await #expect(throws: CaseFailed.self) { try await one.run(bench) }
            #expect(error?.description.contains("claims remote") == true)
        }
    }

    private static func withServer(_ body: @escaping @Sendable (String, Int) async throws -> Void) async throws {
        let binder = LocalBinder()
        let channels = Channels(binder: binder, settings: ChannelSettings(keepAlive: .seconds(1)))
        try await BinderBench.withService(ServiceGroup([binder, channels])) {
            try await TestHTTPServer.with(channels.router) { server in try await body(server.url, server.port) }
        }
    }

    private static func remoteBench(_ fault: Fault?, _ url: String, _ port: Int) -> BinderBench {
        @Sendable func binder(_ url: String) -> any Binder {
            var configuration = HTTPBinderConfiguration(
                url: url, publishLimit: .seconds(2), lease: .seconds(2), wait: .seconds(2), firstPause: .milliseconds(20),
                longestPause: .milliseconds(200))
            configuration.client.idleLimit = .seconds(3)
            let inner = HTTPBinder(configuration: configuration)
            return fault.map { FaultyBinder($0, over: inner) } ?? inner
        }
        var variants = BinderVariants()
        variants.proxied = {
            let proxy = try FaultProxy()
            let port = try proxy.port(to: BrokerAddress(host: "127.0.0.1", port: port))
            return ProxiedBinder(binder: binder("http://127.0.0.1:\(port)"), proxy: proxy)
        }
        return BinderBench(
            binder: binder(url), oversized: 17 << 20,
            times: BenchTimes(patience: fault == nil ? .seconds(40) : .seconds(8), detection: .seconds(5), publishLimit: .seconds(2)),
            variants: variants,
            fresh: { binder(url) })
    }
}
