internal import Autoscaler
internal import HTTP

/// What a scale subresource belongs to: `apps/v1/deployments/orders`. The core group, which has no name, is written `core`.
struct KubernetesResource: Sendable, Hashable {
    let group: String
    let version: String
    let plural: String
    let name: String

    /// `GROUP/VERSION/PLURAL/NAME`.
    init(_ text: String) throws(TargetError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, !parts.contains("") else {
            throw TargetError(
                .rejected, "`\(text)` is no resource of Kubernetes: GROUP/VERSION/PLURAL/NAME is needed, as apps/v1/deployments/orders")
        }
        (group, version, plural, name) = (parts[0] == "core" ? "" : parts[0], parts[1], parts[2], parts[3])
    }

    var text: String { "\(group.isEmpty ? "core" : group)/\(version)/\(plural)/\(name)" }

    /// Where all of its group and version are.
    var groupPath: String {
        group.isEmpty ? "/api/\(Self.segment(version))" : "/apis/\(Self.segment(group))/\(Self.segment(version))"
    }
    func listPath(_ namespace: String) -> String { "\(groupPath)/namespaces/\(Self.segment(namespace))/\(Self.segment(plural))" }
    func path(_ namespace: String) -> String { "\(listPath(namespace))/\(Self.segment(name))" }
    func scalePath(_ namespace: String) -> String { path(namespace) + "/scale" }

    /// Whether its status counts instances that are ready, by a field that is known.
    var countsReady: Bool { group == "apps" && ["deployments", "statefulsets", "replicasets"].contains(plural) }

    /// What references call it; nil where only the cluster knows.
    var kind: String? {
        switch (group, plural) {
        case ("apps", "deployments"): "Deployment"
        case ("apps", "statefulsets"): "StatefulSet"
        case ("apps", "replicasets"): "ReplicaSet"
        case ("", "replicationcontrollers"): "ReplicationController"
        default: nil
        }
    }

    /// The verbs to ask for in a role, for messages: `deployments/scale` in `apps`.
    func right(_ suffix: String = "") -> String { group.isEmpty ? plural + suffix : "\(plural)\(suffix) in \(group)" }

    static func segment(_ text: String) -> String { PercentEncoding.encode(text) }
}
