internal import Autoscaler
internal import HTTP
internal import HTTPClient
internal import Locking

/// Where an orchestrator is asked, and as whom.
struct RemoteSession: Sendable {
    var clients: RemoteClients
    /// What every path is appended to, without a slash at its end.
    var address: String
    /// Sent with every request: who we are.
    var headers: HTTPHeaders = [:]
}

/// Gives the session for the next request.
protocol RemoteAccess: Sendable {
    /// `renewed`: what was given last has been refused. Whatever can be read or logged in anew is.
    func session(renewed: Bool) async throws(TargetError) -> RemoteSession
}

/// The connections that all targets of one orchestrator share. Streams of changes have some of their own, or enough of them would leave none to
/// ask over.
final class RemoteClients: Sendable {
    let asking: HTTPClient
    let streams: HTTPClient

    private init(_ configuration: HTTPClientConfiguration) {
        asking = HTTPClient(configuration)
        streams = HTTPClient(configuration)
    }

    private struct Known { weak let clients: RemoteClients? }
    private static let all = Locked<[HTTPClientConfiguration: Known]>([:])

    /// Those that connect in this way; they end with the last that uses them.
    static func shared(_ configuration: HTTPClientConfiguration) -> RemoteClients {
        all.withLock { all in
            if let known = all[configuration]?.clients { return known }
            let clients = RemoteClients(configuration)
            all = all.filter { $0.value.clients != nil }
            all[configuration] = Known(clients: clients)
            return clients
        }
    }
}

/// A fixed address with a token from a file, or without one.
struct FileTokenAccess: RemoteAccess {
    let clients: RemoteClients
    let address: String
    let file: RotatedFile?
    /// The header field that carries the token.
    let field: @Sendable (_ token: String) -> HTTPHeaders.Field

    func session(renewed: Bool) async throws(TargetError) -> RemoteSession {
        var session = RemoteSession(clients: clients, address: address)
        if let file {
            let (name, value) = field(try await file.text(renewed: renewed))
            session.headers[name] = value
        }
        return session
    }
}
