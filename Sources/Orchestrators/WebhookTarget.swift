package import Autoscaler
internal import Crypto
internal import Files
internal import HTTP
package import HTTPClient
internal import JSON
internal import Locking
internal import Telemetry
internal import ThreadExecutor

/// A server of the user's as orchestrator.
///
/// - To look, `GET URL`, or, where that is answered with 405 or 501, `POST URL` with `{"do":"observe","policy":"orders"}`. The answer is
///   `{"desired":5,"ready":4}`; also `starting`, `fence`, `owner` (who else decides the count), `locked` (why no count is taken just now) and
///   `pending` (why instances do not start).
/// - To scale, `POST URL` with `{"do":"scale","policy":"orders","id":"orders/3/17","term":3,"seq":17,"count":5,"fence":null,"because":"…"}`.
///   `count` is absolute. `Idempotency-Key` is the `id`: the same order may come twice.
/// - Where there is a secret, `carillon-signature: t=SECONDS,v1=HEX` is the HMAC-SHA256 by it of the seconds, a dot and the body, as push
///   subscriptions have it; the file is read for each request, so that it may be exchanged.
///
/// | answer to an order | means |
/// |---|---|
/// | 2xx | taken; `{"reference":"…"}` names the change |
/// | 409, 412 | conflict: somebody else wrote since the last look |
/// | 423 | locked: a change is under way that cannot be overtaken |
/// | 429, and 503 with `Retry-After` | not now |
/// | 401, 403 | not allowed |
/// | 404, 410 | there is no such target |
/// | any other 4xx | this will never be taken |
/// | all else, and none | no answer: the count is held |
///
/// Redirects are not followed. The `message` or `reason` in an answer, or its first line, is shown to people.
package final class WebhookTarget: ScalingTarget {
    package let name: String
    private let policy: String
    private let url: String
    private let secretFile: String?
    private let client: HTTPClient
    private let disk = ThreadExecutor(name: "webhook")
    /// It has said that it is not asked by GET.
    private let asksByPost = Locked(false)
    private static let answerLimit = 64 << 10

    package init(policy: String, url: String, secretFile: String?, configuration: HTTPClientConfiguration = HTTPClientConfiguration()) {
        self.policy = policy
        self.url = url
        self.secretFile = secretFile
        var configuration = configuration
        configuration.redirectLimit = 0
        client = HTTPClient(configuration)
        name = "webhook \(HTTPClientRequest.shown(url))"
    }

    deinit { disk.stop() }

    package func observe() async throws(TargetError) -> TargetObservation {
        if !asksByPost.withLock({ $0 }) {
            let response = try await send("GET", nil)
            guard [405, 501].contains(response.status) else { return try observation(response) }
            asksByPost.withLock { $0 = true }
        }
        return try observation(try await send("POST", TargetMessages.observe(policy)))
    }

    private func observation(_ response: HTTPClientResponse) throws(TargetError) -> TargetObservation {
        guard response.isSuccess else {
            // A look that is refused tells nothing of the count: whatever it says, it may be right the next time.
            throw failure(response, "the look", otherwise: .unavailable)
        }
        return try TargetMessages.observation(response.body, of: name)
    }

    package func scale(_ order: ScaleOrder) async throws(TargetError) -> ScaleResult {
        let response = try await send("POST", TargetMessages.scale(order), key: order.id)
        let pause = response.headers["Retry-After"].flatMap { RetryAfter.pause($0, now: Timestamp.now.milliseconds / 1000) }
        switch response.status {
        case 200...299: return .applied(reference: TargetMessages.reference(response.body))
        case 409, 412: return .conflict(TargetMessages.reason(response.body) ?? "somebody else wrote since the last look")
        case 423: return .locked(TargetMessages.reason(response.body) ?? "a change is under way")
        case 429: return .throttled(after: pause.map { $0 / .seconds(1) })
        case 503 where pause != nil: return .throttled(after: pause.map { $0 / .seconds(1) })
        case 400...499: throw failure(response, "the order", otherwise: .rejected)
        default: throw failure(response, "the order", otherwise: .unavailable)
        }
    }

    private func failure(_ response: HTTPClientResponse, _ what: String, otherwise: TargetError.Kind) -> TargetError {
        let said = TargetMessages.reason(response.body).map { ": \($0)" } ?? ""
        let (kind, remedy): (TargetError.Kind, String) =
            switch response.status {
            case 401, 403:
                (
                    .unauthorized,
                    secretFile == nil ? "; it may want a signature: name a `secret-file`" : "; is the secret the same on both sides?"
                )
            case 404, 410: (.notFound, "; look at the `url` of the policy \(policy)")
            case 300...399: (otherwise, "; redirects are not followed, name the last address")
            case 408: (.unavailable, "")
            default: (otherwise, "")
            }
        return TargetError(kind, "\(name) answered \(what) with \(response.status)\(said)\(remedy)")
    }

    private func send(_ method: String, _ message: JSONValue?, key: String? = nil) async throws(TargetError) -> HTTPClientResponse {
        let body = message.map { Array($0.written.utf8) } ?? []
        var headers: HTTPHeaders = ["Accept": "application/json"]
        if message != nil { headers["Content-Type"] = "application/json" }
        if let key { headers["Idempotency-Key"] = key }
        if let secret = try await secret() {
            headers[BodySignature.field] = BodySignature.make(of: body, secret: secret, now: Timestamp.now.milliseconds / 1000)
        }
        do throws(HTTPClientError) {
            return try await client.send(HTTPClientRequest(method, url, headers: headers, body: body, responseLimit: Self.answerLimit))
        } catch {
            throw TargetError(error.code == .invalid ? .rejected : .unavailable, "\(name): \(error.message)")
        }
    }

    private func secret() async throws(TargetError) -> [UInt8]? {
        guard let secretFile else { return nil }
        let bytes: [UInt8]?
        do { bytes = try await disk.run { try PrivateFile.read(secretFile, limit: 64 << 10) } } catch {
            throw TargetError(.unauthorized, "\(name): \(error); it is the `secret-file` of the policy \(policy)")
        }
        let secret = bytes?.reversed().drop { $0 == 10 || $0 == 13 }.reversed() ?? []
        guard !secret.isEmpty else {
            throw TargetError(
                .unauthorized, "\(name): \(secretFile) is not there or empty: it is the `secret-file` of the policy \(policy)")
        }
        return Array(secret)
    }
}
