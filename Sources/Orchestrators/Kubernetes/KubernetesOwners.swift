internal import JSON

/// Who else scales a resource, in what the cluster lists.
enum KubernetesOwners {
    static let autoscalers = "/apis/autoscaling/v2/namespaces/"
    static let scaledObjects = "/apis/keda.sh/v1alpha1/namespaces/"

    /// The names of those items that point at the resource. `kind` nil: the cluster does not tell, and any kind of that group and name counts.
    /// KEDA leaves `apiVersion` and `kind` out where they are those of a Deployment.
    static func names(_ list: JSONValue, of resource: KubernetesResource, kind: String?, defaults: Bool) -> [String] {
        (list["items"]?.items ?? []).compactMap { item in
            guard let reference = item["spec"]?["scaleTargetRef"], reference["name"]?.string == resource.name else { return nil }
            let given = reference["apiVersion"]?.string ?? ""
            let version = given.isEmpty && defaults ? "apps/v1" : given
            // Deployments of old manifests, which the cluster takes for the same.
            let group = version.contains("/") ? String(version.prefix { $0 != "/" }) : ""
            guard group == resource.group || group == "extensions" && resource.group == "apps" else { return nil }
            let givenKind = reference["kind"]?.string ?? ""
            let other = givenKind.isEmpty && defaults ? "Deployment" : givenKind
            guard kind == nil || other == kind else { return nil }
            return item["metadata"]?["name"]?.string ?? "without a name"
        }
    }
}
