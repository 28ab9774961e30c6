import Autoscaler
import ConfigModel
import Foundation
import Locking
import Orchestrators
import PropertyFormats
import ScalingFormats
import TestSupport
import Testing

/// What lies under `deploy/kubernetes` beside what the adapter really asks for.
@Suite(.timeLimit(.minutes(3))) struct ManifestTests {
    /// One document as flat keys: `rules[0].verbs[1]`.
    struct Manifest {
        let values: [String: String]
        subscript(_ key: String) -> String? { values[key] }
        func list(_ key: String) -> [String] {
            Array(sequence(first: 0) { $0 + 1 }.lazy.map { values["\(key)[\($0)]"] }.prefix { $0 != nil }.compactMap { $0 })
        }
    }

    static func manifests(_ name: String) throws -> [Manifest] {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/kubernetes/\(name)").standardized.path
        let bytes = Array(try Data(contentsOf: URL(filePath: path)))
        return try PropertyFile.parse(bytes, path: path).map { document in
            Manifest(values: Dictionary(document.properties.map { ($0.key, $0.value.text) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    static func manifest(_ name: String, _ kind: String) throws -> Manifest {
        try #require(try manifests(name).first { $0["kind"] == kind }, "\(name) has no \(kind)")
    }

    /// The rights of the shipped role.
    static func role() throws -> Set<FakeKubernetes.Right> {
        let role = try manifest("rbac.yaml", "Role")
        var rights: Set<FakeKubernetes.Right> = []
        for rule in 0..<20 {
            for group in role.list("rules[\(rule)].apiGroups") {
                for resource in role.list("rules[\(rule)].resources") {
                    for verb in role.list("rules[\(rule)].verbs") {
                        rights.insert(FakeKubernetes.Right(group: group, resource: resource, verb: verb))
                    }
                }
            }
        }
        return rights
    }

    @Test func `the shipped role holds what is documented, and no more`() throws {
        func rights(_ group: String, _ resources: [String], _ verbs: [String]) -> [FakeKubernetes.Right] {
            resources.flatMap { resource in verbs.map { FakeKubernetes.Right(group: group, resource: resource, verb: $0) } }
        }
        let seen = ["get", "list", "watch"]
        #expect(
            try Self.role()
                == Set(
                    rights("apps", ["deployments", "statefulsets", "replicasets"], seen) + rights("", ["pods"], seen)
                        + rights("autoscaling", ["horizontalpodautoscalers"], seen) + rights("keda.sh", ["scaledobjects"], seen)
                        + rights("apps", ["deployments/scale", "statefulsets/scale"], ["get", "update", "patch"])))
    }

    @Test(arguments: ["deployments", "statefulsets"])
    func `with the shipped role all works, and without any right that was used something does not`(_ plural: String) async throws {
        let role = try Self.role()
        var used: Set<FakeKubernetes.Right> = []
        try await KubernetesTests.with("apps/v1/\(plural)/orders") { bench, fake async throws in
            fake.state.withLock { state in
                state.role = role
                state.scaledObjects = []
                state.unschedulable = "no node"
            }
            fake.place(2)
            #expect(try await bench.target.observe().pending?.contains("no node") == true)
            #expect(try await bench.scale(5).isApplied)
            try await bench.watching { hints in
                try await eventually("a watch") { fake.streams == 1 }
                let before = hints()
                fake.set(6)
                try await eventually("a hint") { hints() > before }
            }
            used = fake.state.withLock { $0.rights }
        }
        #expect(used.isSubset(of: role))
        let vital = ["\(plural)/scale": ["get", "update"], plural: ["get", "list", "watch"]]
        for right in used
        where vital[right.resource]?.contains(right.verb) == true || right.group == "keda.sh" || right.group == "autoscaling" {
            try await KubernetesTests.with("apps/v1/\(plural)/orders") { bench, fake async throws in
                let rest = role.subtracting([right])
                fake.state.withLock { $0.role = rest }
                if ["list", "watch"].contains(right.verb), right.resource == plural {
                    try await bench.watching { _ in
                        try await eventually("a refusal") { fake.state.withLock { $0.rights.contains(right) } }
                        #expect(fake.streams == 0)
                    }
                } else {
                    #expect(await failure { _ = try await bench.scale(5) } == .unauthorized, "\(right)")
                }
            }
        }
        #expect(used.count == 8, "\(used.map(\.description).sorted())")
    }

    @Test func `the settings in the manifest are settings, and the manifests fit one another`() async throws {
        let account = try Self.manifest("carillon.yaml", "ServiceAccount")
        let binding = try Self.manifest("rbac.yaml", "RoleBinding")
        let deployment = try Self.manifest("carillon.yaml", "Deployment")
        #expect(binding["subjects[0].name"] == account["metadata.name"])
        #expect(binding["subjects[0].namespace"] == account["metadata.namespace"])
        #expect(deployment["spec.template.spec.serviceAccountName"] == account["metadata.name"])
        #expect(try Self.manifest("rbac.yaml", "Role")["metadata.name"] == binding["roleRef.name"])

        // Every volume that is mounted is there, and every file that the settings name lies in one.
        let pod = "spec.template.spec"
        let volumes = (0..<9).compactMap { deployment["\(pod).volumes[\($0)].name"] }
        let mounts = (0..<9).compactMap { deployment["\(pod).containers[0].volumeMounts[\($0)].name"] }
        #expect(Set(mounts) == Set(volumes) && mounts.count == 4)
        let settings = try #require(try Self.manifest("carillon.yaml", "ConfigMap")["data.carillon.yaml"])
        try await withTemporaryFolder { folder in
            let file = folder + "/carillon.yaml"
            try settings.write(toFile: file, atomically: true, encoding: .utf8)
            let section = try ScalingSection.read(file)
            let orders = try section.entry(named: "orders", of: file)
            #expect(
                orders.target
                    == .kubernetes(resource: "apps/v1/deployments/orders", namespace: "shop", kubeconfig: nil))
            #expect(binding["metadata.namespace"] == "shop")
            let object = try Self.manifest("scaledobject.yaml", "ScaledObject")
            let emails = try section.entry(named: object["spec.triggers[0].metadata.policy"], of: file)
            #expect(emails.target == nil)
            #expect(object["metadata.name"] == emails.policy.name)
            #expect(object["spec.maxReplicaCount"] == "\(emails.policy.maximum)")
            #expect(object["spec.minReplicaCount"] == "\(emails.policy.minimum)")
            #expect(object["spec.triggers[0].type"] == "external-push")
            #expect(object["spec.scaleTargetRef.name"] != "orders")
            let port = try #require(section.keda?.listen.split(separator: ":").last)
            let service = try Self.manifest("carillon.yaml", "Service")
            let address = "\(service["metadata.name"] ?? "").\(service["metadata.namespace"] ?? ""):\(port)"
            #expect(object["spec.triggers[0].metadata.scalerAddress"] == address)
            let behaviour = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
            for way in ["scaleUp", "scaleDown"] {
                #expect(object["\(behaviour).\(way).tolerance"] == "0")
                #expect(object["\(behaviour).\(way).stabilizationWindowSeconds"] == "0")
            }
        }
    }
}
