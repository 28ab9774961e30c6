import Autoscaler
import Foundation
import HTTP
import JSON
import Locking
import Orchestrators
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct KubernetesTests {
    static let deployment = JSONValue.text([
        "apiVersion": .string("apps/v1"), "kind": .string("Deployment"), "name": .string("orders"),
    ])

    static func with(
        _ resource: String = "apps/v1/deployments/orders", _ body: (TargetBench, FakeKubernetes) async throws -> Void
    ) async throws {
        let fake = FakeKubernetes()
        try await TargetBench.playing(fake) { url, folder in
            let file = folder + "/kubeconfig"
            try RemoteKind.kubeconfig(url).write(toFile: file, atomically: true, encoding: .utf8)
            return try KubernetesTarget(
                resource: resource, namespace: nil, kubeconfig: file, environment: [:], limits: TargetBench.limits)
        } _: { bench in
            try await body(bench, fake)
        }
    }

    // MARK: - Owners

    @Test func `an HPA that appears is the owner, and once it is gone nobody is`() async throws {
        try await Self.with { bench, fake async throws in
            #expect(try await bench.target.observe().owner == nil)
            fake.state.withLock { $0.autoscalers = [FakeKubernetes.owner("orders-hpa", Self.deployment)] }
            #expect(try await bench.target.observe().owner == "HorizontalPodAutoscaler shop/orders-hpa")
            fake.state.withLock { $0.autoscalers = [] }
            #expect(try await bench.target.observe().owner == nil)
        }
    }

    @Test func `a ScaledObject is the owner, also one that asks us for its count, and goes before its HPA`() async throws {
        try await Self.with { bench, fake async throws in
            fake.state.withLock { state in
                // KEDA's defaults: of a Deployment, nothing but the name.
                state.scaledObjects = [FakeKubernetes.owner("orders-keda", .text(["name": .string("orders")]))]
                state.autoscalers = [FakeKubernetes.owner("keda-hpa-orders-keda", Self.deployment)]
            }
            #expect(try await bench.target.observe().owner == "ScaledObject shop/orders-keda")
            // The definition is taken out of the cluster, and everything with it.
            fake.state.withLock { state in
                state.scaledObjects = nil
                state.autoscalers = []
            }
            #expect(try await bench.target.observe().owner == nil)
        }
    }

    @Test(arguments: [
        ("apps/v1", "StatefulSet", "orders", false), ("apps/v1", "Deployment", "other", false),
        ("example.com/v1", "Deployment", "orders", false),
        ("extensions/v1beta1", "Deployment", "orders", true), ("apps/v1beta2", "Deployment", "orders", true),
        ("", "Deployment", "orders", false),
    ])
    func `only what points at this very resource owns it`(_ version: String, _ kind: String, _ name: String, _ isOwner: Bool) async throws {
        try await Self.with { bench, fake async throws in
            let reference = JSONValue.text(["apiVersion": .string(version), "kind": .string(kind), "name": .string(name)])
            fake.state.withLock { $0.autoscalers = [FakeKubernetes.owner("x", reference)] }
            #expect((try await bench.target.observe().owner != nil) == isOwner)
        }
    }

    @Test func `where owners may not be listed the count is not known to be ours, and the missing right is named`() async throws {
        try await Self.with { bench, fake async throws in
            let all = ["deployments", "deployments/scale"].map { FakeKubernetes.Right(group: "apps", resource: $0, verb: "get") }
            let autoscalers = FakeKubernetes.Right(group: "autoscaling", resource: "horizontalpodautoscalers", verb: "list")
            fake.state.withLock { $0.role = Set(all + [autoscalers]) }
            let error = await #expect(throws: TargetError.self) { try await bench.target.observe() }
            #expect(error?.kind == .unauthorized)
            #expect(error?.message.contains("scaledobjects") == true)
            #expect(error?.message.contains("deploy/kubernetes/rbac.yaml") == true)
        }
    }

    // MARK: - Resources of other kinds

    @Test(arguments: ["apps/v1/statefulsets/orders", "example.com/v1/workers/orders"])
    func `whatever has a scale subresource is scaled`(_ resource: String) async throws {
        try await Self.with(resource) { bench, fake async throws in
            fake.place(1)
            #expect(try await bench.target.observe().count == InstanceCount(desired: 3, ready: 1, starting: 2))
            #expect(try await bench.scale(0).isApplied)
            #expect(try await bench.target.observe().count == InstanceCount(desired: 0, ready: 0, starting: 0))
            let kind = resource.contains("workers") ? "Worker" : "StatefulSet"
            let version = resource.contains("workers") ? "example.com/v1" : "apps/v1"
            let reference = JSONValue.text(["apiVersion": .string(version), "kind": .string(kind), "name": .string("orders")])
            fake.state.withLock { $0.scaledObjects = [FakeKubernetes.owner("mine", reference)] }
            #expect(try await bench.target.observe().owner == "ScaledObject shop/mine")
        }
    }

    @Test(arguments: ["deployments/orders", "apps/v1/deployments/", "a/b/c/d/e", ""])
    func `what is no resource is refused at once`(_ resource: String) {
        let error = #expect(throws: TargetError.self) {
            try KubernetesTarget(resource: resource, namespace: nil, kubeconfig: nil, environment: [:])
        }
        #expect(error?.message.contains("GROUP/VERSION/PLURAL/NAME") == true)
    }

    @Test func `pods that find no node say so`() async throws {
        try await Self.with { bench, fake async throws in
            fake.place(2)
            #expect(try await bench.target.observe().pending == nil)
            fake.state.withLock { $0.unschedulable = "0/3 nodes are available: 3 Insufficient cpu." }
            #expect(try await bench.target.observe().pending == "orders-2: 0/3 nodes are available: 3 Insufficient cpu.")
            // The reason is a courtesy: without the right to list pods the count is known all the same.
            let rights = fake.state.withLock { $0.rights.filter { $0.resource != "pods" } }
            fake.state.withLock { $0.role = rights }
            #expect(try await bench.target.observe().count.ready == 2)
        }
    }

    // MARK: - Watching

    @Test func `a history that is gone is listed anew, whether the watch is refused or ends`() async throws {
        try await Self.with { bench, fake async throws in
            try await bench.watching { hints in
                for expire in [{ fake.compact() }, { fake.expire() }, { fake.compact() }] {
                    try await eventually("a watch") { fake.streams == 1 }
                    let (lists, before) = (fake.state.withLock { $0.lists }, hints())
                    expire()
                    try await eventually("a new list and a new watch") {
                        fake.state.withLock { $0.lists } > lists && fake.streams == 1 && hints() > before
                    }
                    let then = hints()
                    fake.set(fake.desired + 1)
                    try await eventually("a hint") { hints() > then }
                }
            }
        }
    }

    @Test func `a watch that was cut goes on where it was`() async throws {
        try await Self.with { bench, fake async throws in
            try await bench.watching { _ in
                try await eventually("a watch") { fake.streams == 1 }
                let lists = fake.state.withLock { $0.lists }
                for _ in 0..<3 {
                    let before = bench.faults.requests.count
                    fake.dropStreams()
                    try await eventually("another watch") { fake.streams == 1 && bench.faults.requests.count > before }
                }
                #expect(fake.state.withLock { $0.lists } == lists)
            }
        }
    }

    // MARK: - Answers that cannot be

    @Test(arguments: [
        #"{"kind":"Scale","metadata":{"resourceVersion":"1"},"spec":{"replicas":-1}}"#,
        #"{"kind":"Scale","metadata":{"resourceVersion":"1"},"spec":{"replicas":"3"}}"#,
        #"{"kind":"Scale","metadata":{"resourceVersion":"1"},"spec":{"replicas":99999999999}}"#,
        #"{"kind":"Scale","metadata":{"resourceVersion":"1"}}"#, #"{"kind":"Scale","metadata":{},"spec":{"replicas":3}}"#,
        #"{"kind":"Deployment","metadata":{"resourceVersion":"1"},"spec":{"replicas":3}}"#, "{}", "[]", "null", "",
    ])
    func `a count that is none is unknown, not zero`(_ text: String) async throws {
        var router = Router()
        router.notFound = { _ in HTTPResponse(text: text, type: "application/json") }
        try await TestHTTPServer.with(router) { server in
            try await withTemporaryFolder { folder in
                let file = folder + "/kubeconfig"
                try RemoteKind.kubeconfig(server.url).write(toFile: file, atomically: true, encoding: .utf8)
                try "x".write(toFile: folder + "/token", atomically: true, encoding: .utf8)
                let target = try KubernetesTarget(
                    resource: "apps/v1/deployments/orders", namespace: "shop", kubeconfig: file, environment: [:],
                    limits: TargetBench.limits)
                #expect(await failure { _ = try await target.observe() } == .unavailable)
            }
        }
    }
}
