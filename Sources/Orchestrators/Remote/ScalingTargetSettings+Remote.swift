package import Autoscaler
package import ScalingFormats

extension ScalingTargetSettings {
    /// The target of an orchestrator that is asked over a network; nil for all others. Throws for an address or a name that cannot be one; nobody is
    /// asked yet.
    package func remoteTarget(limits: RemoteLimits = RemoteLimits()) throws(TargetError) -> (any ScalingTarget)? {
        switch self {
        case .kubernetes(let resource, let namespace, let kubeconfig):
            try KubernetesTarget(resource: resource, namespace: namespace, kubeconfig: kubeconfig, limits: limits)
        case .nomad(let address, let job, let group, let namespace, let region, let tokenFile):
            try NomadTarget(
                address: address, job: job, group: group, namespace: namespace, region: region, tokenFile: tokenFile, limits: limits)
        case .swarm(let address, let service): try SwarmTarget(address: address, service: service, limits: limits)
        case .marathon(let address, let app, let tokenFile):
            try MarathonTarget(address: address, app: app, tokenFile: tokenFile, limits: limits)
        case .local, .webhook, .exec: nil
        }
    }
}
