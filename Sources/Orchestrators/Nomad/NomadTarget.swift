package import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON

/// A group of a Nomad job.
///
/// Nomad takes no count while a deployment of the job runs, the way down too, and before 1.4 it refuses one and yet carries it out later: nothing is
/// written while one runs. What it wants is `Desired`; `Running` may be more after a restart, and is never taken for the count.
package final class NomadTarget: ScalingTarget {
    private let job: String
    private let group: String?
    private let path: String
    private let query: [(name: String, value: String)]
    let api: RemoteAPI

    /// `group` may be left out where the job has only one. Throws for an address that is none.
    package init(
        address: String, job: String, group: String? = nil, namespace: String? = nil, region: String? = nil, tokenFile: String? = nil,
        limits: RemoteLimits = RemoteLimits()
    ) throws(TargetError) {
        self.job = job
        self.group = group
        // A slash within an id may stand as it is, and proxies refuse it in any other form.
        path = "/v1/job/" + PercentEncoding.encode(job, keeping: "/")
        query = [("namespace", namespace), ("region", region)].compactMap { name, value in value.map { (name, $0) } }
        let name = "nomad \(job)" + (group.map { "/\($0)" } ?? "")
        let access = FileTokenAccess(
            clients: .shared(HTTPClientConfiguration()), address: try RemoteAddress.http(address, name),
            file: tokenFile.map { RotatedFile($0, age: limits.fileAge) }, field: { ("X-Nomad-Token", $0) })
        api = RemoteAPI(
            target: name, access: access, limits: limits, renewsOn: [401, 403],  // a token that has expired is answered 403
            remedy: { status in
                switch status {
                case 401, 403: "the token of `token-file` needs `read-job` and `scale-job` in the job's namespace"
                case 404: "check the job's name, its namespace and its region"
                default: nil
                }
            })
    }

    package var name: String { api.target }

    // MARK: - Observing

    package func observe() async throws(TargetError) -> TargetObservation {
        async let scaleAnswer = api.asked(RemoteRequest(path: path + "/scale", query: query))
        async let deploymentAnswer = api.asked(RemoteRequest(path: path + "/deployment", query: query))
        let status = try status(try await scaleAnswer.get())
        let locked = try lock(try await deploymentAnswer.get())
        return TargetObservation(
            InstanceCount(desired: status.desired, ready: status.ready, starting: status.desired - status.ready), fence: "\(status.index)",
            locked: locked)
    }

    private struct Status {
        var index: Int64
        var group: String
        var desired: Int
        var ready: Int
    }

    private func status(_ answer: RemoteAnswer) throws(TargetError) -> Status {
        if answer.status == 500, answer.says("job not found") || answer.says("unknown job") {
            throw TargetError(.notFound, "\(name): there is no such job; check its name, its namespace and its region")
        }
        let json = try api.json(answer)
        guard let index = json["JobModifyIndex"]?.integer, case .object(let groups)? = json["TaskGroups"] else {
            throw api.garbage(answer, "it has no JobModifyIndex with TaskGroups")
        }
        if json["JobStopped"] == .boolean(true) {
            throw TargetError(.rejected, "\(name): the job is stopped; start it by `nomad job run`")
        }
        let names = groups.map(\.name).joined(separator: ", ")
        let member = groups.count == 1 && group == nil ? groups.first : groups.first { $0.name == group }
        guard let member else {
            throw TargetError(
                group == nil ? .rejected : .notFound,
                "\(name): the job has the groups \(names); " + (group == nil ? "name one of them as `group`" : "correct `group`"))
        }
        guard let desired = member.value["Desired"]?.count, let running = member.value["Running"]?.count,
            let unhealthy = (member.value["Unhealthy"] ?? .number("0")).count
        else { throw api.garbage(answer, "its group has no counts") }
        // Not `Healthy`: only deployments judge health, and what was placed anew since the last one is never judged.
        return Status(index: index, group: member.name, desired: desired, ready: min(desired, max(0, running - unhealthy)))
    }

    /// Why no count is taken: the deployment that runs. A job that never had one is answered `null`; whether there is such a job at all is not
    /// asked here.
    private func lock(_ answer: RemoteAnswer) throws(TargetError) -> String? {
        if answer.status == 404 { return nil }
        let json = try api.json(answer)
        if json == .null { return nil }
        guard let id = json["ID"]?.string, let status = json["Status"]?.string else {
            throw api.garbage(answer, "it is no deployment with a Status")
        }
        // Those that are over. Whatever else there is, or will be, may lock.
        if ["successful", "failed", "cancelled"].contains(status) { return nil }
        let said = json["StatusDescription"]?.string.flatMap { $0.isEmpty ? nil : ": \($0)" } ?? ""
        return TargetMessages.shown("deployment \(id.prefix(8)) is \(status)\(said)")
    }

    // MARK: - Scaling

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        // Just before the write, not only at the observation: what is refused because of a deployment may be carried out later.
        if let locked = try lock(try await api.ask(RemoteRequest(path: path + "/deployment", query: query))) { return .locked(locked) }
        let status = try status(try await api.ask(RemoteRequest(path: path + "/scale", query: query)))
        if let fence = order.fence, fence != "\(status.index)" {
            return .conflict("the job was changed since it was looked at (JobModifyIndex \(fence), now \(status.index))")
        }
        if status.desired == order.count { return .unchanged }
        let body = JSONValue.object([
            JSONMember("Count", .number("\(order.count)")), JSONMember("Target", .object([JSONMember("Group", .string(status.group))])),
            JSONMember("Message", .string(order.because)), JSONMember("Error", .boolean(false)),
            JSONMember(
                "Meta",
                .object([
                    JSONMember("carillon-policy", .string(order.policy)), JSONMember("carillon-decision", .string(order.id)),
                ])),
            // Servers that do not know it yet leave it unread.
            JSONMember("JobModifyIndex", .number("\(status.index)")),
        ])
        let answer = try await api.ask(
            RemoteRequest(method: "POST", path: path + "/scale", query: query, body: Array(body.written.utf8)))
        guard answer.isSuccess else {
            // Its refusals are texts, and differ from version to version.
            if answer.says("job modify index") || answer.says("jobmodifyindex") { return .conflict(answer.said) }
            if answer.says("active deployment") || answer.says("blocked due to") { return .locked(answer.said) }
            if answer.says("permission denied") { throw TargetError(.unauthorized, api.failure(answer).message) }
            if answer.says("not found") { throw TargetError(.notFound, api.failure(answer).message) }
            return try api.refusal(answer)
        }
        return .applied(reference: try api.json(answer)["EvalID"]?.string.map { "evaluation \($0)" })
    }

    // MARK: - Watching

    /// Waits until the index of the job's state is not `index` any more, or as long as a question may; nil: at once.
    func nextIndex(after index: Int64?) async throws(TargetError) -> Int64 {
        var request = RemoteRequest(path: path + "/scale", query: query)
        if let index {
            let wait = api.limits.stream
            request.query += [("index", "\(index)"), ("wait", "\(max(1, wait.components.seconds))s")]
            request.limit = wait + wait / 8 + .seconds(10)  // servers add up to a sixteenth
            request.isStream = true
        }
        let answer = try await api.ask(request)
        guard answer.isSuccess else { throw api.failure(answer) }
        guard let next = answer.response.headers["X-Nomad-Index"].flatMap({ Int64($0) }), next > 0 else {
            throw api.garbage(answer, "it has no X-Nomad-Index")
        }
        return next
    }
}
