internal import Autoscaler
internal import JSON

/// A scale subresource as it was answered.
struct KubernetesScale: Sendable, Hashable {
    var version: String
    var desired: Int
    /// Pods that were created, ready or not.
    var existing: Int
    var selector: String?

    init(_ answer: RemoteAnswer, _ api: RemoteAPI) throws(TargetError) {
        let json = try api.json(answer)
        guard json["kind"]?.string ?? "Scale" == "Scale", let version = json["metadata"]?["resourceVersion"]?.string,
            let spec = json["spec"],
            case .object = spec
        else { throw api.garbage(answer, "it is no Scale with a resourceVersion") }
        self.version = version
        // A number that is zero is left out, but not by what does not even say what it is.
        guard json["kind"] != nil || spec["replicas"] != nil else { throw api.garbage(answer, "it is no Scale") }
        guard let desired = spec["replicas"].map(\.count) ?? 0, let existing = json["status"]?["replicas"].map(\.count) ?? 0 else {
            throw api.garbage(answer, "its replicas are no count")
        }
        (self.desired, self.existing) = (desired, existing)
        selector = json["status"]?["selector"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    }
}
