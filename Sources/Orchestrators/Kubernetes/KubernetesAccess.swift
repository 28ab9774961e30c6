internal import Autoscaler
internal import HTTP
internal import HTTPClient
internal import Locking

/// Where a cluster's API is and who we are to it: as a pod of the cluster, or by a kubeconfig. All files are read anew while we run, since clusters
/// exchange tokens and certificates.
final class KubernetesAccess: RemoteAccess {
    private enum Source {
        case pod(address: String, token: RotatedFile, authority: RotatedFile, namespace: RotatedFile)
        case kubeconfig(RotatedFile)
        /// Neither; said when first asked, so that one policy's mistake does not keep the others from starting.
        case none(TargetError)
    }
    private let source: Source
    private let limits: RemoteLimits
    /// What the files said when they were last read, and the connections that belong to it.
    private struct Held {
        var source: [UInt8]
        var session: RemoteSession
        /// The token file that the kubeconfig names.
        var tokenFile: RotatedFile?
        var namespace: String?
    }
    private let held = Locked<Held?>(nil)

    /// `folder`: where a pod finds its service account; `environment`: that of the process.
    init(kubeconfig: String?, environment: [String: String], folder: String, limits: RemoteLimits) {
        self.limits = limits
        func file(_ path: String) -> RotatedFile { RotatedFile(path, age: limits.fileAge) }
        if let kubeconfig {
            source = .kubeconfig(file(kubeconfig))
        } else if let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty {
            let port = environment["KUBERNETES_SERVICE_PORT"] ?? "443"
            source = .pod(
                address: "https://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)", token: file(folder + "/token"),
                authority: file(folder + "/ca.crt"), namespace: file(folder + "/namespace"))
        } else {
            source = .none(
                TargetError(
                    .rejected,
                    "kubernetes: this process is no pod of a cluster ($KUBERNETES_SERVICE_HOST is not set) and the policy's target names no `kubeconfig`: name one"
                ))
        }
    }

    func session(renewed: Bool) async throws(TargetError) -> RemoteSession {
        switch source {
        case .none(let error): throw error
        case .pod(let address, let token, let authority, _):
            let held = try held(try await authority.bytes()) { authority in
                var configuration = HTTPClientConfiguration()
                configuration.tls.authorityText = authority
                return Held(source: authority, session: RemoteSession(clients: .shared(configuration), address: address))
            }
            var session = held.session
            session.headers["Authorization"] = "Bearer " + (try await token.text(renewed: renewed))
            return session
        case .kubeconfig(let file):
            let held = try await kubeconfig(file, renewed: renewed)
            var session = held.session
            if let file = held.tokenFile { session.headers["Authorization"] = "Bearer " + (try await file.text(renewed: renewed)) }
            return session
        }
    }

    /// What `make` reads from a file that has these bytes; connections are kept while it has.
    private func held(_ bytes: [UInt8], _ make: ([UInt8]) throws(TargetError) -> Held) throws(TargetError) -> Held {
        if let held = held.withLock({ $0 }), held.source == bytes { return held }
        let new = try make(bytes)
        held.withLock { $0 = new }
        return new
    }

    private func kubeconfig(_ file: RotatedFile, renewed: Bool = false) async throws(TargetError) -> Held {
        try held(try await file.bytes(renewed: renewed)) { bytes throws(TargetError) in
            let read = try Kubeconfig(bytes, path: file.path)
            var held = Held(source: bytes, session: RemoteSession(clients: .shared(read.configuration), address: read.address))
            held.tokenFile = read.tokenFile.map { RotatedFile($0, age: limits.fileAge) }
            held.namespace = read.namespace
            if held.tokenFile == nil, let token = read.token { held.session.headers["Authorization"] = "Bearer " + token }
            return held
        }
    }

    /// The namespace of a policy that names none: that of our pod, or of the kubeconfig's context.
    func namespace() async throws(TargetError) -> String {
        switch source {
        case .none(let error): throw error
        case .pod(_, _, _, let file): try await file.text()
        case .kubeconfig(let file): try await kubeconfig(file).namespace ?? "default"
        }
    }
}
