internal import Autoscaler
internal import Crypto
internal import HTTP
internal import HTTPClient
internal import JSON
internal import Locking

/// Marathon, as one of three: by `user:password` (Basic), by a token of DC/OS, or by an account of DC/OS that logs in for tokens. The token file holds
/// one of them: `USER:PASSWORD`, the token, or `{"uid": …, "password": …}` (or `"token"`, the signed login token of a service account).
final class MarathonAccess: RemoteAccess {
    private let target: String
    private let clients: RemoteClients
    private let address: String
    private let file: RotatedFile?
    private let limits: RemoteLimits
    private let known = Locked<String?>(nil)

    init(_ address: String, tokenFile: String?, target: String, limits: RemoteLimits) throws(TargetError) {
        self.target = target
        self.address = try RemoteAddress.http(address, target)
        clients = .shared(HTTPClientConfiguration())
        file = tokenFile.map { RotatedFile($0, age: limits.fileAge) }
        self.limits = limits
    }

    func session(renewed: Bool) async throws(TargetError) -> RemoteSession {
        var session = RemoteSession(clients: clients, address: address)
        guard let file else { return session }
        let text = try await file.text(renewed: renewed)
        if text.hasPrefix("{") {
            session.headers["Authorization"] = "token=" + (try await loggedIn(text, file.path, renewed: renewed))
        } else if text.contains(":") {
            session.headers["Authorization"] = "Basic " + Base64.encode(Array(text.utf8))
        } else {
            session.headers["Authorization"] = "token=" + text
        }
        return session
    }

    /// The token of the last login, or of a new one.
    private func loggedIn(_ account: String, _ path: String, renewed: Bool) async throws(TargetError) -> String {
        if !renewed, let token = known.withLock({ $0 }) { return token }
        guard let read = try? JSONReader.read(Array(account.utf8)), read["uid"]?.string != nil,
            read["password"]?.string != nil || read["token"]?.string != nil
        else { throw TargetError(.unauthorized, "\(target): \(path) holds no account: `uid` with `password` or `token` is needed") }
        // The login is not Marathon's but that of the cluster in front of it.
        let start = address.firstRange(of: "://").map { $0.upperBound } ?? address.startIndex
        let origin = address[..<(address[start...].firstIndex(of: "/") ?? address.endIndex)]
        let request = HTTPClientRequest(
            "POST", origin + "/acs/api/v1/auth/login", headers: ["Content-Type": "application/json"], body: Array(account.utf8),
            totalLimit: limits.answer)
        let answer: RemoteAnswer
        do {
            answer = RemoteAnswer(request: request, response: try await clients.asking.send(request))
        } catch {
            throw TargetError(.unavailable, "\(target): \(error.message)")
        }
        guard answer.isSuccess, let token = (try? JSONReader.read(answer.body))?["token"]?.string, !token.isEmpty else {
            throw TargetError(
                answer.status >= 500 || answer.isSuccess ? .unavailable : .unauthorized,
                "\(target): \(answer.asked) gave no token (\(answer.status)); check the account in \(path)")
        }
        known.withLock { $0 = token }
        return token
    }
}
