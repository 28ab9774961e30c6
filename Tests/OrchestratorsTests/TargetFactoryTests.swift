import Autoscaler
import Files
import Lifecycle
import ScalingFormats
import TestSupport
import Testing

@testable import Orchestrators

@Suite(.timeLimit(.minutes(5))) struct TargetFactoryTests {
    private static let policy = ScalingPolicy(
        name: "orders", minimum: 0, maximum: 3, conditions: [], instance: ScalingPolicy.InstanceBelief(rate: 10, start: 20))

    private static func factory(_ scene: LocalScene) -> TargetFactory {
        // The policy's folder is the scene's.
        TargetFactory(data: scene.folder, server: "http://127.0.0.1:8888", environment: ["PATH": "/usr/bin:/bin", "SCENE": scene.folder])
    }

    /// Runs `service` beside `body`, and ends it in order.
    private static func beside(_ service: any Service, _ body: () async throws -> Void) async throws {
        let (shutdown, started) = (ShutdownSignal(), ShutdownSignal())
        let task = Task { try await service.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() })) }
        await started.wait()
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        shutdown.request()
        try await task.value
        try result.get()
    }

    private static func order(_ count: Int) -> ScaleOrder {
        ScaleOrder(policy: "orders", seq: 1, term: 1, count: count, fence: nil, because: "a test wants it")
    }

    @Test func `local workers reach the server, and never are more than the policy allows`() async throws {
        try await LocalScene.with("env >\"$SCENE/$CARILLON_INSTANCE\"; echo x >>\"$SCENE/started\"; exec sleep 1000") { scene in
            let built = try Self.factory(scene).make(
                Self.policy,
                .local(command: ["sh", scene.script], environment: ["A": "b", "CARILLON_POLICY": "mine"], drain: .seconds(60)))
            let service = try #require(built.service)
            try await Self.beside(service) {
                let result = try await built.target.scale(Self.order(50))
                #expect(result == .applied(reference: nil))
                try await eventually("three workers") { scene.lines("started").count == 3 }
                let count = try await built.target.observe().count
                #expect(count.desired == 3)
                let environment = scene.lines("orders-3")
                for line in ["CARILLON_SERVER=http://127.0.0.1:8888", "CARILLON_POLICY=orders", "CARILLON_INSTANCE=orders-3", "A=b"] {
                    #expect(environment.contains(line))
                }
                #expect(try PrivateFile.read("\(scene.folder)/workers/orders.json") != nil)
            }
            #expect(scene.workers.isEmpty)
        }
    }

    @Test func `each kind of settings has its target`() throws {
        let factory = TargetFactory(data: "/nowhere", server: "http://x", environment: [:])
        let exec = try factory.make(Self.policy, .exec(command: ["scale-it", "x"]))
        #expect(exec.target.name == "exec scale-it" && exec.service == nil && exec.target.range == 0...3)
        let webhook = try factory.make(Self.policy, .webhook(url: "https://user:hush@x/y?token=hush", secretFile: nil))
        #expect(webhook.target.name == "webhook https://x/y" && webhook.service == nil)
        let remote: [(ScalingTargetSettings, String)] = [
            (.kubernetes(resource: "apps/v1/deployments/o", namespace: nil, kubeconfig: nil), "kubernetes apps/v1/deployments/o"),
            (.nomad(address: "http://n:4646", job: "o", group: "w", namespace: nil, region: nil, tokenFile: nil), "nomad o/w"),
            (.swarm(address: "unix:///run/docker.sock", service: "o"), "swarm o"),
            (.marathon(address: "http://m:8080", app: "shop/o", tokenFile: nil), "marathon /shop/o"),
        ]
        for (settings, name) in remote {
            let built = try factory.make(Self.policy, settings)
            #expect(built.target.name == name && built.service == nil && built.target.range == 0...3)
        }
        let error = #expect(throws: TargetError.self) { try factory.make(Self.policy, .swarm(address: "nowhere", service: "y")) }
        #expect(error?.kind == .rejected && error?.message.contains("swarm y") == true)
    }

    @Test func `workers of a policy that is gone are ended`() async throws {
        try await LocalScene.with(LocalScene.modest(places: 3)) { scene in
            let keeper = try LocalKeeper(scene, maximum: 3)
            try await keeper.untilReady()
            try await keeper.ordered(2)
            try await eventually("two workers") { scene.lines("started").count == 2 }
            try await keeper.crash()
            #expect(scene.workers.count == 2)

            let factory = Self.factory(scene)
            #expect(factory.leftovers(besides: ["orders"]).isEmpty)
            let leftovers = factory.leftovers(besides: ["bills"])
            #expect(leftovers.map(\.name) == ["local orders"])
            try await Self.beside(try #require(leftovers.first)) {
                try await eventually("they have left") { scene.isEmpty }
            }
            // Nothing is left to look after.
            #expect(factory.leftovers(besides: []).isEmpty)
        }
    }
}
