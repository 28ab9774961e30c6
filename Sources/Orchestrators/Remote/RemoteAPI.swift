internal import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON

/// One request to an orchestrator.
struct RemoteRequest: Sendable {
    var method = "GET"
    /// Encoded, from the slash on.
    var path: String
    var query: [(name: String, value: String)] = []
    var headers: HTTPHeaders = [:]
    var body: [UInt8] = []
    /// Where an answer may take longer than others: a question that waits for a change.
    var limit: Duration?
    /// Whether it waits for a change, and so must not keep a connection from those that do not.
    var isStream = false

    var target: String {
        query.isEmpty
            ? path
            : path + "?" + query.map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
    }
}

/// Asks one orchestrator over HTTP: the one place where tokens are renewed and where what an answer means is decided.
struct RemoteAPI: Sendable {
    /// The target, for messages.
    let target: String
    let access: any RemoteAccess
    let limits: RemoteLimits
    /// The answers that say that our token is no longer good.
    var renewsOn: Set<Int> = [401]
    /// What to do about a refusal, for people.
    var remedy: @Sendable (_ status: Int) -> String? = { _ in nil }

    /// The answer, whatever its status. One that does not take our token is asked for once more with a new one.
    func ask(_ request: RemoteRequest) async throws(TargetError) -> RemoteAnswer {
        let first = try await ask(request, renewed: false)
        return renewsOn.contains(first.status) ? try await ask(request, renewed: true) : first
    }

    /// The same for several questions at once.
    func asked(_ request: RemoteRequest) async -> Result<RemoteAnswer, TargetError> {
        do { return .success(try await ask(request)) } catch { return .failure(error) }
    }

    /// The document that the orchestrator answers; every status but 2xx throws.
    func document(_ request: RemoteRequest) async throws(TargetError) -> JSONValue { try json(try await ask(request)) }

    /// The document within an answer; every status but 2xx throws.
    func json(_ answer: RemoteAnswer) throws(TargetError) -> JSONValue {
        guard answer.isSuccess else { throw failure(answer) }
        do {
            return try JSONReader.read(answer.body)
        } catch {
            throw garbage(answer, "\(error)")
        }
    }

    /// An answer that is not what it should be; what it meant is not known.
    func garbage(_ answer: RemoteAnswer, _ what: String) -> TargetError {
        TargetError(.unavailable, "\(target): \(answer.asked) was answered with what cannot be read: \(what); is this the right address?")
    }

    /// What a refusal means.
    func failure(_ answer: RemoteAnswer) -> TargetError {
        let kind: TargetError.Kind =
            switch answer.status {
            case 401, 403: .unauthorized
            case 404, 410: .notFound
            case 408, 425, 429, 500...: .unavailable
            default: .rejected
            }
        let said = answer.said.isEmpty ? "" : ": \(answer.said)"
        return TargetError(
            kind, "\(target): \(answer.asked) was answered \(answer.status)\(said)" + (remedy(answer.status).map { "; " + $0 } ?? ""))
    }

    /// What a refused write means, where the orchestrator has said nothing more special; throws for what is no result.
    func refusal(_ answer: RemoteAnswer) throws(TargetError) -> ScaleResult {
        switch answer.status {
        case 409: .conflict(answer.said)
        case 429: .throttled(after: answer.retryAfter)
        default: throw failure(answer)
        }
    }

    /// Runs `body` with what comes over a stream of changes. Throws what `HTTPClient` throws, or what a refusal means.
    func stream(_ request: RemoteRequest, _ body: (inout HTTPClientBody) async throws -> Void) async throws {
        for renewed in [false, true] {
            let session = try await access.session(renewed: renewed)
            var sent = self.sent(request, session)
            sent.totalLimit = limits.stream + .seconds(30)
            sent.idleLimit = limits.stream + .seconds(30)
            let isOver = try await session.clients.streams.withStream(sent) { head, stream in
                guard head.isSuccess else {
                    if !renewed, renewsOn.contains(head.status) { return false }
                    let text = (try? await stream.collect(upTo: 64 << 10)) ?? []
                    throw failure(RemoteAnswer(request: sent, response: HTTPClientResponse(head: head, body: text)))
                }
                try await body(&stream)
                return true
            }
            if isOver { return }
        }
    }

    private func ask(_ request: RemoteRequest, renewed: Bool) async throws(TargetError) -> RemoteAnswer {
        let session = try await access.session(renewed: renewed)
        let sent = sent(request, session)
        do {
            let client = request.isStream ? session.clients.streams : session.clients.asking
            return RemoteAnswer(request: sent, response: try await client.send(sent))
        } catch {
            throw TargetError(error.code == .invalid ? .rejected : .unavailable, "\(target): \(error.message)")
        }
    }

    private func sent(_ request: RemoteRequest, _ session: RemoteSession) -> HTTPClientRequest {
        var headers = session.headers
        for (name, value) in request.headers.fields { headers[name] = value }
        if headers["Accept"] == nil { headers["Accept"] = "application/json" }
        if !request.body.isEmpty, headers["Content-Type"] == nil { headers["Content-Type"] = "application/json" }
        return HTTPClientRequest(
            request.method, session.address + request.target, headers: headers, body: request.body,
            totalLimit: request.limit ?? limits.answer, idleLimit: request.limit)
    }
}
