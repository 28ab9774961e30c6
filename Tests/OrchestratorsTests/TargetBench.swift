import Autoscaler
import Foundation
import HTTP
import HTTPClient
import Locking
import Orchestrators
import TestSupport

/// What is asked over a network.
enum RemoteKind: String, CaseIterable, Sendable {
    case kubernetes, nomad, swarm, marathon, webhook

    /// Those that ask for a token, or for a signature by one.
    static let guarded: [RemoteKind] = [.kubernetes, .nomad, .marathon, .webhook]
    /// Those whose streams of changes we follow, and that tell a count which is there already. A webhook does neither.
    static let telling: [RemoteKind] = [.kubernetes, .nomad, .swarm, .marathon]
    /// Those that take no count while one is carried out.
    static let locking: [RemoteKind] = [.nomad, .marathon]
    /// Those that refuse a write by what has been written since, whenever that was.
    static let fencing: [RemoteKind] = [.kubernetes, .nomad, .swarm, .webhook]

    func made() -> any FakeOrchestrator {
        switch self {
        case .kubernetes: FakeKubernetes()
        case .nomad: FakeNomad()
        case .swarm: FakeSwarm()
        case .marathon: FakeMarathon()
        case .webhook: FakeWebhook()
        }
    }

    /// A target at that address whose token lies in `folder`.
    func target(_ url: String, folder: String, limits: RemoteLimits) throws -> any ScalingTarget {
        switch self {
        case .kubernetes:
            let file = folder + "/kubeconfig"
            try Self.kubeconfig(url).write(toFile: file, atomically: true, encoding: .utf8)
            return try KubernetesTarget(
                resource: "apps/v1/deployments/orders", namespace: "shop", kubeconfig: file, environment: [:], limits: limits)
        case .nomad:
            return try NomadTarget(
                address: url + "/", job: "shop/orders", group: "workers", namespace: "sales", region: "north", tokenFile: folder + "/token",
                limits: limits)
        case .swarm: return try SwarmTarget(address: url, service: "orders", certificates: nil, limits: limits)
        case .marathon: return try MarathonTarget(address: url, app: "/shop/orders", tokenFile: folder + "/token", limits: limits)
        case .webhook:
            return WebhookTarget(
                policy: "orders", url: url + "/orders", secretFile: folder + "/token",
                configuration: HTTPClientConfiguration(totalLimit: limits.answer))
        }
    }

    static func kubeconfig(_ url: String) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: here
        contexts:
        - {name: elsewhere, context: {cluster: other, user: me}}
        - {name: here, context: {cluster: mine, user: me, namespace: shop}}
        clusters:
        - {name: mine, cluster: {server: "\(url)"}}
        users:
        - {name: me, user: {tokenFile: token}}
        """
    }
}

/// One made-up orchestrator on a loopback port, and a target that asks it.
struct TargetBench: Sendable {
    static let token = "s3cret-one"
    let fake: any FakeOrchestrator
    let faults: FakeServer
    let server: TestHTTPServer
    let folder: String
    let target: any ScalingTarget

    /// Pauses short enough for tests, limits long enough for a busy machine.
    static let limits = RemoteLimits(
        answer: .seconds(30), stream: .seconds(30), firstPause: .milliseconds(20), longestPause: .milliseconds(200))

    /// Runs `body` and ends the server.
    static func with(
        _ kind: RemoteKind, limits: RemoteLimits = limits, _ body: (TargetBench) async throws -> Void
    ) async throws {
        try await playing(kind.made(), { try kind.target($0, folder: $1, limits: limits) }, body)
    }

    static func playing(
        _ fake: any FakeOrchestrator, _ target: (_ url: String, _ folder: String) throws -> any ScalingTarget,
        _ body: (TargetBench) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let faults = FakeServer(fake, token: token)
            try await TestHTTPServer.with(faults) { server in
                let bench = TargetBench(
                    fake: fake, faults: faults, server: server, folder: folder, target: try target(server.url, folder))
                try bench.put(token: token)
                try await body(bench)
                fake.dropStreams()
            }
        }
    }

    func put(token: String) throws { try token.write(toFile: folder + "/token", atomically: true, encoding: .utf8) }

    func order(_ count: Int, _ seen: TargetObservation?) -> ScaleOrder {
        ScaleOrder(policy: "orders", seq: 7, term: 2, count: count, fence: seen?.fence, because: "8,000 wait; 60 s are promised")
    }

    /// As a policy does it: look, then write what was decided from that.
    func scale(_ count: Int) async throws -> ScaleResult { try await target.scale(order(count, try await target.observe())) }

    /// Runs `body` while the target is watched; it gets the number of hints so far.
    func watching(_ body: (_ hints: @Sendable () -> Int) async throws -> Void) async throws {
        let box = HintCount()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await target.watch { box.add() } }
            try await body { box.count }
            group.cancelAll()
            // A watch that does not end by cancellation would hold the test here.
            try await group.waitForAll()
        }
    }
}

final class HintCount: Sendable {
    private let hints = Locked(0)
    func add() { hints.withLock { $0 += 1 } }
    var count: Int { hints.withLock { $0 } }
}

extension ScaleResult {
    var isApplied: Bool { if case .applied = self { true } else { false } }
    var isConflict: Bool { if case .conflict = self { true } else { false } }
    var isLocked: Bool { if case .locked = self { true } else { false } }
}
