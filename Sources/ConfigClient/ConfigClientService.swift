package import Lifecycle

/// Keeps a client current as a part of a program: starts it, and asks the servers every `pollInterval` until shutdown.
package struct ConfigClientService: Service {
    package let name = "config-client"
    private let client: ConfigClient

    package init(_ client: ConfigClient) { self.client = client }

    package func run(_ life: ServiceLife) async throws {
        if client.snapshot == nil { try await client.start() }
        life.started()
        _ = try await life.cancelOnShutdown { [client] in try await client.poll() }
    }
}
