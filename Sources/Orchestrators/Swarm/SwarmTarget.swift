package import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON
internal import Locking

/// A replicated service of a Docker Swarm.
package final class SwarmTarget: ScalingTarget {
    private let service: String
    let api: RemoteAPI
    /// What the engine said of the interface that it speaks.
    private let version = Locked<String?>(nil)

    /// `address`: `unix:///run/docker.sock`, `tcp://HOST:PORT` or a URL, of a manager. `certificates`: `$DOCKER_CERT_PATH`. Throws for an address that is none.
    package init(
        address: String, service: String, certificates: String?,
        limits: RemoteLimits = RemoteLimits()
    ) throws(TargetError) {
        self.service = service
        let name = "swarm \(service)"
        let access = try SwarmAccess(address, certificates: certificates.flatMap { $0.isEmpty ? nil : $0 }, name: name)
        api = RemoteAPI(target: name, access: access, limits: limits) { status in
            switch status {
            case 401, 403: "the engine lets this process not in: look at who guards it"
            case 404: "check the service's name by `docker service ls`"
            case 503: "the address must be that of a manager of the swarm"
            default: nil
            }
        }
    }

    package var name: String { api.target }

    /// The path below the version that the engine speaks; asked once.
    func path(_ rest: String) async throws(TargetError) -> String {
        if let known = version.withLock({ $0 }) { return "/v\(known)\(rest)" }
        let answer = try await api.ask(RemoteRequest(path: "/_ping"))
        guard answer.isSuccess else { throw api.failure(answer) }
        guard let told = answer.response.headers["Api-Version"], !told.isEmpty, told.utf8.allSatisfy({ $0 == 46 || (48...57).contains($0) })
        else { return rest }  // which engines take for their newest version
        version.withLock { $0 = told }
        return "/v\(told)\(rest)"
    }

    /// An engine that was exchanged speaks other versions: ask anew, next time.
    private func forgetVersion(_ answer: RemoteAnswer) {
        if answer.status == 400, answer.says("client version") { version.withLock { $0 = nil } }
    }

    // MARK: - Observing

    private struct Service {
        var id: String
        var index: String
        var spec: SwarmSpec
    }

    private func inspect() async throws(TargetError) -> Service {
        let answer = try await api.ask(RemoteRequest(path: try await path("/services/" + PercentEncoding.encode(service))))
        forgetVersion(answer)
        let json = try api.json(answer)
        guard let id = json["ID"]?.string, case .number(let index)? = json["Version"]?["Index"] else {
            throw api.garbage(answer, "it is no service with an ID and a Version")
        }
        do {
            return Service(id: id, index: index, spec: try SwarmSpec(service: answer.body))
        } catch {
            switch error {
            case .garbage(let what): throw api.garbage(answer, what)
            case .uncounted(let mode):
                throw TargetError(
                    .rejected, "\(name): the service's mode is \(mode), which has no count; create it with `--mode replicated`")
            }
        }
    }

    package func observe() async throws(TargetError) -> TargetObservation {
        let service = try await inspect()
        let desired = service.spec.replicas ?? 1
        let filters = JSONValue.object([
            JSONMember("service", .array([.string(self.service)])), JSONMember("desired-state", .array([.string("running")])),
        ])
        let answer = try await api.ask(RemoteRequest(path: try await path("/tasks"), query: [("filters", filters.written)]))
        guard case .array(let tasks) = try api.json(answer) else { throw api.garbage(answer, "it is no list of tasks") }
        let states = tasks.compactMap { $0["Status"] }
        let ready = states.count { $0["State"]?.string == "running" }
        // Of one that waits, and then of one that failed and is tried again.
        let troubled = states.filter { $0["State"]?.string != "running" }.compactMap { status in
            status["Err"]?.string.flatMap { $0.isEmpty ? nil : "\(status["State"]?.string ?? "unknown"): \($0)" }
        }
        return TargetObservation(
            InstanceCount(desired: desired, ready: ready, starting: desired - ready), fence: service.index,
            pending: troubled.first.map(TargetMessages.shown))
    }

    // MARK: - Scaling

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        let service = try await inspect()
        if let fence = order.fence, fence != service.index {
            return .conflict("the service was changed since it was looked at (version \(fence), now \(service.index))")
        }
        if service.spec.replicas == order.count { return .unchanged }
        // The number that the Spec was read with: where somebody writes meanwhile, the engine refuses.
        let answer = try await api.ask(
            RemoteRequest(
                method: "POST", path: try await path("/services/\(PercentEncoding.encode(service.id))/update"),
                query: [("version", service.index), ("registryAuthFrom", "spec")], body: service.spec.with(replicas: order.count)))
        guard answer.isSuccess else {
            forgetVersion(answer)
            if answer.says("out of sequence") { return .conflict(answer.said) }
            return try api.refusal(answer)
        }
        _ = try api.json(answer)
        return .applied(reference: nil)
    }

    // MARK: - Watching

    package func watch(_ changed: @escaping @Sendable () -> Void) async {
        await follow(api.limits, changed) { opened in
            let filters = JSONValue.object([
                JSONMember("type", .array([.string("service")])), JSONMember("service", .array([.string(service)])),
            ])
            try await api.stream(RemoteRequest(path: try await path("/events"), query: [("filters", filters.written)])) { body in
                opened()
                while let bytes = try await body.next() { if bytes.contains(where: { $0 > 32 }) { changed() } }
            }
        }
    }
}
