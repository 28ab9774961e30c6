package import Autoscaler
package import HTTPClient
package import Lifecycle
package import ScalingFormats
package import Telemetry

/// Makes the target that a policy's settings name.
package struct TargetFactory: Sendable {
    /// A policy's way to its orchestrator.
    package struct Built: Sendable {
        package var target: GuardedTarget
        /// What has to run for as long as the target is used; nil: nothing.
        package var service: (any Service)?
    }

    /// The folder, below the server's data, for what must outlive a server.
    package var folder: String
    /// What every local worker and every program that is run gets of the server's environment, `CARILLON_SERVER` among it.
    package var environment: [String: String]
    package var client: HTTPClientConfiguration
    package var drain: LocalSupervisor.Drain
    package var log: Log
    private let thread = SupervisorThread()

    /// `data`: the server's data folder. `server`: the URL under which workers reach it. `environment`: the server's own.
    package init(
        data: String, server: String, environment: [String: String], client: HTTPClientConfiguration = HTTPClientConfiguration(),
        log: Log = .silent, drain: @escaping LocalSupervisor.Drain = { _, _, _ in [] }
    ) {
        folder = "\(data)/workers"
        self.environment = environment.merging(["CARILLON_SERVER": server]) { _, own in own }
        self.client = client
        self.drain = drain
        self.log = log
    }

    /// `term`: that of the leader whose orders are to pass.
    package func make(_ policy: ScalingPolicy, _ settings: ScalingTargetSettings, term: Int = 0) throws(TargetError) -> Built {
        let target: any ScalingTarget
        var service: (any Service)?
        switch settings {
        case .local(let command, let environment, let drain):
            let supervisor = supervisor(
                policy.name, maximum: policy.maximum, command: command, environment: environment, timing: WorkerTiming(drain: drain))
            (target, service) = (supervisor, supervisor)
        case .webhook(let url, let secretFile):
            target = WebhookTarget(policy: policy.name, url: url, secretFile: secretFile, configuration: client)
        case .exec(let command): target = ExecTarget(policy: policy.name, command: command, environment: environment)
        case .kubernetes(let resource, let namespace, let kubeconfig):
            target = try KubernetesTarget(
                resource: resource, namespace: namespace, kubeconfig: kubeconfig, environment: self.environment)
        case .nomad(let address, let job, let group, let namespace, let region, let tokenFile):
            target = try NomadTarget(
                address: address, job: job, group: group, namespace: namespace, region: region, tokenFile: tokenFile)
        case .swarm(let address, let service):
            target = try SwarmTarget(address: address, service: service, certificates: self.environment["DOCKER_CERT_PATH"])
        case .marathon(let address, let app, let tokenFile):
            target = try MarathonTarget(address: address, app: app, tokenFile: tokenFile)
        }
        return Built(target: GuardedTarget(target, minimum: policy.minimum, maximum: policy.maximum, term: term), service: service)
    }

    private func supervisor(
        _ policy: String, maximum: Int, command: [String], environment: [String: String], timing: WorkerTiming
    ) -> LocalSupervisor {
        LocalSupervisor(
            LocalSettings(
                policy: policy, maximum: maximum, command: command, environment: self.environment.merging(environment) { _, own in own },
                folder: folder, timing: timing), thread: thread, log: log, drain: drain)
    }

    /// Supervisors that end the workers of policies which are no local ones any more: `policies` are those that still are. Reads a folder: blocks
    /// for a moment.
    package func leftovers(besides policies: Set<String>) -> [LocalSupervisor] {
        let others = WorkerRecord.policies(in: folder).subtracting(policies).sorted().filter {
            // One that cannot be read may name workers: its supervisor says so.
            (try? WorkerRecord.read("\(folder)/\($0).json"))?.entries.isEmpty != true
        }
        return others.map {
            supervisor($0, maximum: 0, command: [], environment: [:], timing: WorkerTiming())
        }
    }
}
