import Autoscaler
import HTTP
import HTTPClient
import JSON
import Orchestrators
import TestSupport
import Testing

/// The same against a Docker engine that is really one.
@Suite(.enabled(if: DockerEngine.isAvailable, Comment(rawValue: DockerEngine.whyNot)), .timeLimit(.minutes(10)))
struct SwarmEngineTests {
    /// Ends at the first SIGTERM, as a worker does.
    private static let worker = ["carillon-busybox", "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do busybox sleep 1; done"]

    private static func target(_ engine: DockerEngine, _ service: String = "orders") throws -> SwarmTarget {
        try SwarmTarget(address: engine.address, service: service, certificates: nil, limits: TargetBench.limits)
    }

    @Test func `a service of a real engine is seen, scaled, fenced and watched`() async throws {
        try await DockerEngine.with { engine in
            let client = HTTPClient(HTTPClientConfiguration(unixSocket: engine.socket))
            func service() async throws -> [UInt8] {
                try await client.send(HTTPClientRequest("GET", "http://docker/v1.41/services/orders")).body
            }
            func spec() async throws -> String {
                let bytes = try await service()
                let range = try #require(try JSONReader.range(of: ["Spec"], in: bytes))
                return String(decoding: bytes[range], as: UTF8.self)
            }
            let run = ["service", "create", "--quiet", "--detach", "--replicas", "1"]
            try await engine.docker(
                run + [
                    "--name", "orders", "--label", "odd=a<b>&\"c\u{e9}", "--limit-cpu", "0.25", "--update-max-failure-ratio", "0.3",
                    "--restart-delay", "100ms", "--env", "A=1",
                ] + Self.worker)
            let target = try Self.target(engine)
            func isReady(_ count: Int) async throws -> Bool {
                try await target.observe().count == InstanceCount(desired: count, ready: count, starting: 0)
            }
            try await eventually(within: .seconds(180), "the first task runs") { try await isReady(1) }
            #expect(try await target.observe().pending == nil)

            // Up, and nothing but the number has changed.
            let before = try await spec()
            let first = try await target.observe()
            func order(_ count: Int, _ seen: TargetObservation) -> ScaleOrder {
                ScaleOrder(policy: "orders", seq: 1, term: 1, count: count, fence: seen.fence, because: "")
            }
            #expect(try await target.scale(order(4, first)).isApplied)
            try await eventually(within: .seconds(180), "four run") { try await isReady(4) }
            #expect(try await spec() == before.replacing("\"Replicas\":1", with: "\"Replicas\":4"))
            #expect(before.contains("\"Replicas\":1") && before.contains("a<b>") && before.contains("0.3"))

            // What was decided from an old look is not written, by us or by the engine.
            #expect(try await target.scale(order(2, first)).isConflict)
            let old = try await client.send(
                HTTPClientRequest(
                    "POST", "http://docker/v1.41/services/orders/update?version=\(first.fence ?? "")",
                    headers: ["Content-Type": "application/json"], body: Array(before.utf8)))
            #expect(old.status == 500)
            #expect(old.text == FakeSwarm.outOfSequence + "\n")
            #expect(try await target.scale(order(4, try await target.observe())) == .unchanged)

            // Somebody else's count is hinted at and seen.
            let hints = HintCount()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await target.watch { hints.add() } }
                try await eventually("a stream of events") { hints.count > 0 }
                let before = hints.count
                try await engine.docker(["service", "scale", "--detach", "orders=2"])
                try await eventually("a hint") { hints.count > before }
                group.cancelAll()
            }
            #expect(try await target.observe().count.desired == 2)
            #expect(try await target.scale(order(0, try await target.observe())).isApplied)
            try await eventually(within: .seconds(180), "none run") { try await isReady(0) }

            // What has no count, is not there, or finds no node.
            try await engine.docker(["service", "create", "--quiet", "--detach", "--name", "everywhere", "--mode", "global"] + Self.worker)
            #expect(await failure { _ = try await Self.target(engine, "everywhere").observe() } == .rejected)
            #expect(await failure { _ = try await Self.target(engine, "nobody").observe() } == .notFound)
            try await engine.docker(run + ["--name", "nowhere", "--constraint", "node.labels.x==y"] + Self.worker)
            let nowhere = try Self.target(engine, "nowhere")
            try await eventually(within: .seconds(60), "the reason") {
                try await nowhere.observe().pending?.contains("no suitable node") == true
            }
            try await engine.docker(["swarm", "leave", "--force"])
            let left = await #expect(throws: TargetError.self) { try await target.observe() }
            #expect(left?.kind == .unavailable)
            #expect(left?.message.contains("manager") == true)
        }
    }
}
