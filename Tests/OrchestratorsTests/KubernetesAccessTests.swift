import Autoscaler
import Foundation
import HTTPServer
import Orchestrators
import TestSupport
import Testing

/// How a cluster is reached: as one of its pods, or by a kubeconfig.
@Suite(.timeLimit(.minutes(3))) struct KubernetesAccessTests {
    private static func target(_ folder: String, kubeconfig: String? = nil, _ environment: [String: String] = [:]) throws
        -> KubernetesTarget
    {
        try KubernetesTarget(
            resource: "apps/v1/deployments/orders", namespace: nil, kubeconfig: kubeconfig, environment: environment,
            serviceAccount: folder,
            limits: TargetBench.limits)
    }

    @Test func `a pod speaks as its service account, trusts the cluster's authority and follows both when they are exchanged`() async throws
    {
        try await TestCertificates.with { certificates in
            func text(_ name: String) throws -> String { try String(contentsOfFile: certificates.path(name), encoding: .utf8) }
            let tls = HTTPServerTLS(certificate: try text("server.pem"), key: try text("server.key"))
            let faults = FakeServer(FakeKubernetes(), token: "pod-token-1")
            try await TestHTTPServer.with(faults, tls: tls) { server in
                try await withTemporaryFolder { folder in
                    func put(_ text: String, _ name: String) throws {
                        try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
                    }
                    try put("pod-token-1", "token")
                    try put("shop", "namespace")
                    try put(try text("ca.pem"), "ca.crt")
                    let environment = ["KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "\(server.port)"]
                    let target = try Self.target(folder, environment)
                    #expect(try await target.observe().count.desired == 3)
                    faults.set(token: "pod-token-2")
                    #expect(await failure { _ = try await target.observe() } == .unauthorized)
                    try put("pod-token-2", "token")
                    #expect(try await target.observe().count.desired == 3)
                    // An authority that did not sign the server is not talked to, whatever it answers.
                    try put(try text("stranger.pem"), "ca.crt")
                    #expect(await failure { _ = try await Self.target(folder, environment).observe() } == .unavailable)
                }
            }
        }
    }

    @Test func `a kubeconfig may hold certificates as text and as files, and name the server by another name`() async throws {
        try await TestCertificates.with { certificates in
            func text(_ name: String) throws -> String { try String(contentsOfFile: certificates.path(name), encoding: .utf8) }
            let tls = HTTPServerTLS(certificate: try text("server.pem"), key: try text("server.key"), clientCA: try text("ca.pem"))
            try await TestHTTPServer.with(FakeServer(FakeKubernetes()), tls: tls) { server in
                func data(_ name: String) throws -> String { Data(try text(name).utf8).base64EncodedString() }
                let cluster = "certificate-authority-data: \(try data("ca.pem"))"
                let user = "client-certificate-data: \(try data("client.pem")), client-key-data: \(try data("client.key"))"
                let cases = [
                    (cluster, user), ("certificate-authority: ca.pem", "client-certificate: client.pem, client-key: client.key"),
                    (cluster + ", tls-server-name: localhost", user),
                ]
                for (number, (cluster, user)) in cases.enumerated() {
                    let file = certificates.path("config-\(number)")
                    let port = server.port
                    try """
                    current-context: c
                    contexts: [{name: c, context: {cluster: k, user: u, namespace: shop}}]
                    clusters: [{name: k, cluster: {server: "https://127.0.0.1:\(port)/", \(cluster)}}]
                    users: [{name: u, user: {\(user)}}]
                    """.write(toFile: file, atomically: true, encoding: .utf8)
                    #expect(try await Self.target("/nowhere", kubeconfig: file).observe().count.desired == 3, "case \(number)")
                }
            }
        }
    }

    @Test func `a token within a kubeconfig is read anew when it is refused, and connections are kept`() async throws {
        let faults = FakeServer(FakeKubernetes(), token: "inline-1")
        try await TestHTTPServer.with(faults) { server in
            try await withTemporaryFolder { folder in
                let file = folder + "/config"
                func put(_ token: String) throws {
                    try RemoteKind.kubeconfig(server.url).replacing("tokenFile: token", with: "token: \(token)")
                        .write(toFile: file, atomically: true, encoding: .utf8)
                }
                try put("inline-1")
                let target = try Self.target("/nowhere", kubeconfig: file)
                #expect(try await target.observe().count.desired == 3)
                faults.set(token: "inline-2")
                #expect(await failure { _ = try await target.observe() } == .unauthorized)
                try put("inline-2")
                #expect(try await target.observe().count.desired == 3)
            }
        }
    }

    @Test(arguments: [
        ("user: {exec: {command: aws}}", "exec"), ("user: {auth-provider: {name: gcp}}", "auth-provider"), ("user: {as: admin}", "as"),
        ("user: {username: me, password: geheim}", "username"),
    ])
    func `what we cannot do is refused with the remedy`(_ user: String, _ key: String) async throws {
        try await withTemporaryFolder { folder in
            let file = folder + "/config"
            try """
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: "https://127.0.0.1:1"}}]
            users: [{name: u, \(user)}]
            """.write(toFile: file, atomically: true, encoding: .utf8)
            let error = await #expect(throws: TargetError.self) { try await Self.target("/nowhere", kubeconfig: file).observe() }
            #expect(error?.kind == .rejected)
            #expect(error?.message.contains("`\(key)`") == true)
            #expect(error?.message.contains("client certificate") == true)
            #expect(error?.message.contains("geheim") == false)
        }
    }

    @Test(arguments: [
        ("", "current-context"), ("current-context: x", "`x`"), ("current-context: [", "config"),
        ("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {server: here}}]", "server"),
    ])
    func `a kubeconfig that leads nowhere says what it lacks`(_ text: String, _ lack: String) async throws {
        try await withTemporaryFolder { folder in
            let file = folder + "/config"
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let error = await #expect(throws: TargetError.self) { try await Self.target("/nowhere", kubeconfig: file).observe() }
            #expect(error?.message.contains(lack) == true)
            #expect(error?.message.contains(file) == true)
        }
    }

    @Test func `neither a pod nor a kubeconfig, and files that are away, are told with the remedy`() async throws {
        let none = await #expect(throws: TargetError.self) { try await Self.target("/nowhere").observe() }
        #expect(none?.kind == .rejected)
        #expect(none?.message.contains("kubeconfig") == true)
        let missing = await #expect(throws: TargetError.self) { try await Self.target("/nowhere", kubeconfig: "/nowhere/config").observe() }
        #expect(missing?.message.contains("/nowhere/config") == true)
        let environment = ["KUBERNETES_SERVICE_HOST": "127.0.0.1"]
        let noToken = await #expect(throws: TargetError.self) { try await Self.target("/nowhere", environment).observe() }
        #expect(noToken?.message.contains("/nowhere/") == true)
    }
}
