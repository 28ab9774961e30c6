package import Autoscaler
internal import HTTP
internal import JSON
internal import Locking

/// A Deployment, a StatefulSet or whatever else has a scale subresource. Written through that subresource only, with the version that was seen, so
/// that nobody's write is lost; never where an HPA or KEDA decides the count.
package final class KubernetesTarget: ScalingTarget {
    let resource: KubernetesResource
    let api: RemoteAPI
    private let access: KubernetesAccess
    private let givenNamespace: String?
    /// What references call a resource that only the cluster knows.
    private let learnedKind = Locked<String?>(nil)

    /// `resource`: `GROUP/VERSION/PLURAL/NAME`. Without a kubeconfig we are a pod of the cluster; without a namespace it is the pod's own, or that
    /// of the kubeconfig's context. Throws for a resource that cannot be one.
    package init(
        resource: String, namespace: String?, kubeconfig: String?, environment: [String: String],
        serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount", limits: RemoteLimits = RemoteLimits()
    ) throws(TargetError) {
        let resource = try KubernetesResource(resource)
        self.resource = resource
        givenNamespace = namespace
        access = KubernetesAccess(kubeconfig: kubeconfig, environment: environment, folder: serviceAccount, limits: limits)
        api = RemoteAPI(target: "kubernetes \(resource.text)", access: access, limits: limits) { status in
            switch status {
            case 401: "check the token, or the client certificate"
            case 403:
                "the role of this user lacks a right: get, list and watch on \(resource.right()), on pods, on horizontalpodautoscalers in autoscaling and scaledobjects in keda.sh, get, update and patch on \(resource.right("/scale")); deploy/kubernetes/rbac.yaml has them all"
            case 404: "check the names of the resource and its namespace"
            default: nil
            }
        }
    }

    package var name: String { api.target }

    func namespace() async throws(TargetError) -> String {
        if let givenNamespace { return givenNamespace }
        return try await access.namespace()
    }

    // MARK: - Observing

    package func observe() async throws(TargetError) -> TargetObservation {
        let namespace = try await namespace()
        let kind = try await kind()
        async let scaleAnswer = api.asked(RemoteRequest(path: resource.scalePath(namespace)))
        async let autoscalers = owners(
            KubernetesOwners.autoscalers + "\(KubernetesResource.segment(namespace))/horizontalpodautoscalers", false)
        async let scaledObjects = owners(KubernetesOwners.scaledObjects + "\(KubernetesResource.segment(namespace))/scaledobjects", true)
        async let objectAnswer = resource.countsReady ? api.asked(RemoteRequest(path: resource.path(namespace))) : nil

        let scale = try KubernetesScale(try await scaleAnswer.get(), api)
        let object: JSONValue? = if let answer = await objectAnswer { try api.json(try answer.get()) } else { nil }
        var pods: JSONValue?
        if object == nil, scale.desired > 0 || scale.existing > 0 {
            pods = try await self.pods(namespace, scale)
        }
        // KEDA scales by an HPA of its own: who asks is told of what he wrote himself.
        let keda = KubernetesOwners.names(try await scaledObjects.get(), of: resource, kind: kind, defaults: true)
        let hpa = KubernetesOwners.names(try await autoscalers.get(), of: resource, kind: kind, defaults: false)
        let owner =
            keda.first.map { "ScaledObject \(namespace)/\($0)" } ?? hpa.first.map { "HorizontalPodAutoscaler \(namespace)/\($0)" }

        let ready = try object.map { object throws(TargetError) in try readyCount(object) } ?? KubernetesPods.ready(pods)
        let starting = max(0, scale.desired - ready)
        var pending: String?
        if starting > 0 {
            // Only to say why: where pods may not be listed, nothing is said.
            if pods == nil { pods = try? await self.pods(namespace, scale) }
            pending = KubernetesPods.whyPending(pods) ?? object.flatMap(Self.trouble)
        }
        return TargetObservation(
            InstanceCount(desired: scale.desired, ready: ready, starting: starting), fence: scale.version,
            owner: owner.map(TargetMessages.shown),
            pending: pending.map(TargetMessages.shown))
    }

    private func pods(_ namespace: String, _ scale: KubernetesScale) async throws(TargetError) -> JSONValue {
        guard let selector = scale.selector else {
            throw TargetError(
                .rejected, "\(name) tells no selector of its pods: its definition needs `labelSelectorPath` in the scale subresource")
        }
        return try await api.document(
            RemoteRequest(path: "/api/v1/namespaces/\(KubernetesResource.segment(namespace))/pods", query: [("labelSelector", selector)]))
    }

    private func readyCount(_ object: JSONValue) throws(TargetError) -> Int {
        guard object["kind"]?.string ?? resource.kind == resource.kind, let status = object["status"] else {
            throw TargetError(.unavailable, "\(name): what was answered is no \(resource.kind ?? "resource") with a status")
        }
        // A number that is zero is left out.
        guard let field = status["readyReplicas"] else { return 0 }
        guard let ready = field.count else { throw TargetError(.unavailable, "\(name): `readyReplicas` is no count") }
        return ready
    }

    /// What a Deployment says of pods that it cannot even create.
    private static func trouble(_ object: JSONValue) -> String? {
        (object["status"]?["conditions"]?.items ?? []).first { condition in
            let (type, status) = (condition["type"]?.string, condition["status"]?.string)
            return type == "ReplicaFailure" && status == "True" || type == "Progressing" && status == "False"
        }?["message"]?.string
    }

    /// The list of possible owners; an empty one where KEDA is not installed.
    private func owners(_ path: String, _ isOptional: Bool) async -> Result<JSONValue, TargetError> {
        do throws(TargetError) {
            let answer = try await api.ask(RemoteRequest(path: path))
            if isOptional, answer.status == 404 { return .success(.object([])) }
            let list = try api.json(answer)
            guard case .array? = list["items"] else { throw api.garbage(answer, "it has no list of `items`") }
            return .success(list)
        } catch {
            return .failure(error)
        }
    }

    /// What references call the resource; nil where the cluster does not tell.
    private func kind() async throws(TargetError) -> String? {
        if let kind = resource.kind ?? learnedKind.withLock({ $0 }) { return kind }
        let answer = try await api.ask(RemoteRequest(path: resource.groupPath))
        guard answer.isSuccess else { return nil }
        let kind = (try api.json(answer)["resources"]?.items ?? []).first { $0["name"]?.string == resource.plural }?["kind"]?.string
        learnedKind.withLock { $0 = kind }
        return kind
    }

    // MARK: - Scaling

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        let namespace = try await namespace()
        let path = resource.scalePath(namespace)
        let fence: String
        if let seen = order.fence {
            fence = seen
        } else {
            fence = try KubernetesScale(try await api.ask(RemoteRequest(path: path)), api).version
        }
        let body = JSONValue.object([
            JSONMember("apiVersion", .string("autoscaling/v1")), JSONMember("kind", .string("Scale")),
            JSONMember(
                "metadata",
                .object([
                    JSONMember("name", .string(resource.name)), JSONMember("namespace", .string(namespace)),
                    JSONMember("resourceVersion", .string(fence)),
                ])), JSONMember("spec", .object([JSONMember("replicas", .number("\(order.count)"))])),
        ])
        let answer = try await api.ask(
            RemoteRequest(method: "PUT", path: path, query: [("fieldManager", "carillon")], body: Array(body.written.utf8)))
        guard answer.isSuccess else { return try api.refusal(answer) }
        let scale = try KubernetesScale(answer, api)
        return scale.version == fence ? .unchanged : .applied(reference: "resourceVersion \(scale.version)")
    }
}
