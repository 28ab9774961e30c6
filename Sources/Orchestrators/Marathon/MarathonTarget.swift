package import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON

/// An app of Marathon. Each count is a deployment, which locks the app until it is done; nothing is forced, since that would cancel what somebody
/// else deploys.
package final class MarathonTarget: ScalingTarget {
    private let app: String
    private let path: String
    let api: RemoteAPI

    /// Throws for an address or an id that is none.
    package init(address: String, app: String, tokenFile: String? = nil, limits: RemoteLimits = RemoteLimits()) throws(TargetError) {
        let segments = app.split(separator: "/").map(String.init)
        self.app = "/" + segments.joined(separator: "/")
        let name = "marathon \(self.app)"
        guard !segments.isEmpty, !segments.contains("."), !segments.contains("..") else {
            throw TargetError(.rejected, "marathon: `\(app)` is no app: an id as /shop/orders is needed")
        }
        path = "/v2/apps/" + segments.map { PercentEncoding.encode($0) }.joined(separator: "/")
        api = RemoteAPI(
            target: name, access: try MarathonAccess(address, tokenFile: tokenFile, target: name, limits: limits), limits: limits
        ) { status in
            switch status {
            case 401, 403: "check `token-file`, and that its user may view and update the app"
            case 404: "check the app's id"
            case 405: "Marathon 1.5 or newer is needed"
            default: nil
            }
        }
    }

    package var name: String { api.target }

    // MARK: - Observing

    private struct App {
        var instances: Int
        var ready: Int
        var version: String
        var deployments: [String]
    }

    private func look() async throws(TargetError) -> App {
        let answer = try await api.ask(
            RemoteRequest(path: path, query: [("embed", "app.counts"), ("embed", "app.deployments")]))
        let json = try api.json(answer)["app"]
        guard let json, let instances = json["instances"]?.count, let version = json["version"]?.string,
            let running = json["tasksRunning"]?.count
        else { throw api.garbage(answer, "it is no app with instances, tasksRunning and a version") }
        // Without a health check of its own an app has no healthy tasks, however well it runs.
        let ready = json["healthChecks"]?.items.isEmpty == false ? json["tasksHealthy"]?.count ?? 0 : running
        return App(
            instances: instances, ready: ready, version: version,
            deployments: (json["deployments"]?.items ?? []).compactMap { $0["id"]?.string })
    }

    package func observe() async throws(TargetError) -> TargetObservation {
        let app = try await look()
        let starting = max(0, app.instances - app.ready)
        // Only to say why: where the queue cannot be read, nothing is said.
        let pending = starting > 0 ? try? await whyPending() : nil
        return TargetObservation(
            InstanceCount(desired: app.instances, ready: app.ready, starting: starting), fence: app.version,
            locked: Self.lock(app.deployments), pending: pending)
    }

    private static func lock(_ deployments: [String]) -> String? {
        deployments.isEmpty ? nil : TargetMessages.shown("deployment \(deployments.joined(separator: ", ")) is under way")
    }

    /// What the queue of launches says of the app.
    private func whyPending() async throws(TargetError) -> String? {
        let queue = try await api.document(RemoteRequest(path: "/v2/queue"))["queue"]?.items ?? []
        guard let entry = queue.first(where: { ($0["app"]?["id"] ?? $0["run"]?["id"])?.string == app }) else { return nil }
        var parts: [String] = []
        if entry["delay"]?["overdue"] == .boolean(false), let left = entry["delay"]?["timeLeftSeconds"]?.integer, left > 0 {
            parts.append("the next launch is delayed by \(left) s, as the last ones failed")
        }
        let reasons = (entry["processedOffersSummary"]?["rejectSummaryLastOffers"]?.items ?? []).filter {
            ($0["declined"]?.integer ?? 0) > 0
        }
        if !reasons.isEmpty {
            let text = reasons.compactMap { reason in reason["reason"]?.string.map { "\($0) (\(reason["declined"]?.integer ?? 0))" } }
            parts.append("offers declined: " + text.joined(separator: ", "))
        }
        return parts.isEmpty ? nil : TargetMessages.shown(parts.joined(separator: "; "))
    }

    // MARK: - Scaling

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        // Marathon takes no fence: what can be seen just before the write is looked at.
        let app = try await look()
        if let fence = order.fence, fence != app.version {
            return .conflict("the app was changed since it was looked at (version \(fence), now \(app.version))")
        }
        if let locked = Self.lock(app.deployments) { return .locked(locked) }
        if app.instances == order.count { return .unchanged }
        // Not PUT, which makes an app that is gone anew.
        let answer = try await api.ask(
            RemoteRequest(method: "PATCH", path: path, body: Array("{\"instances\":\(order.count)}".utf8)))
        guard answer.isSuccess else {
            let deployments = ((try? JSONReader.read(answer.body))?["deployments"]?.items ?? []).compactMap { $0["id"]?.string }
            if answer.status == 409 { return .locked(Self.lock(deployments) ?? answer.said) }
            // Too many deployments of others run: 403, of all numbers.
            if answer.status == 403, answer.says("running deployments") { return .locked(answer.said) }
            return try api.refusal(answer)
        }
        return .applied(reference: try api.json(answer)["deploymentId"]?.string.map { "deployment \($0)" })
    }

    // MARK: - Watching

    private static let events = [
        "deployment_info", "deployment_step_success", "deployment_step_failure", "deployment_success", "deployment_failed",
        "status_update_event", "instance_changed_event", "instance_health_changed_event", "app_terminated_event", "api_post_event",
    ]

    package func watch(_ changed: @escaping @Sendable () -> Void) async {
        await follow(api.limits, changed) { opened in
            let request = RemoteRequest(
                path: "/v2/events", query: Self.events.map { ("event_type", $0) }, headers: ["Accept": "text/event-stream"])
            try await api.stream(request) { body in
                opened()
                while let event = try await body.nextEvent() {
                    let json = try? JSONReader.read(Array(event.data.utf8))
                    // An event that names another app is none of ours; what names none may be.
                    let other = (json?["appId"] ?? json?["runSpecId"])?.string
                    if other == nil || other == app { changed() }
                }
            }
        }
    }
}
