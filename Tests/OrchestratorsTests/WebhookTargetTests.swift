import Autoscaler
import Crypto
import Foundation
import HTTP
import JSON
import Locking
import Orchestrators
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct WebhookTargetTests {
    private static let order = ScaleOrder(policy: "orders", seq: 17, term: 3, count: 5, fence: nil, because: "more come")

    /// Runs a server that answers everything with `answer`, and keeps what it was asked.
    private static func with<R: Sendable>(
        _ answer: @escaping @Sendable (HTTPRequest) -> HTTPResponse, secret: String? = nil,
        _ body: @escaping @Sendable (WebhookTarget, Recorded<HTTPRequest>) async throws -> R
    ) async throws -> R {
        let asked = Recorded<HTTPRequest>()
        var router = Router()
        for method in ["GET", "POST"] {
            router.add(method, "/hook") { request, _ in
                asked.add(request)
                return answer(request)
            }
        }
        return try await TestHTTPServer.with(router) { server in
            try await withTemporaryFolder { folder in
                if let secret { try Data(secret.utf8).write(to: URL(fileURLWithPath: "\(folder)/secret")) }
                let target = WebhookTarget(
                    policy: "orders", url: "\(server.url)/hook?token=hush", secretFile: secret == nil ? nil : "\(folder)/secret")
                return try await body(target, asked)
            }
        }
    }

    private static func json(_ text: String, _ status: Int = 200) -> HTTPResponse {
        HTTPResponse(status, headers: ["Content-Type": "application/json"], body: .bytes(Array(text.utf8)))
    }

    @Test func `orders are signed and named, and looks give the count`() async throws {
        try await Self.with(
            { $0.method == "GET" ? Self.json(#"{"desired":4,"ready":2,"owner":"HPA x"}"#) : Self.json(#"{"reference":"d7"}"#, 202) },
            secret: "key\n"
        ) { target, asked in
            let observation = try await target.observe()
            #expect(observation == TargetObservation(InstanceCount(desired: 4, ready: 2, starting: 2), owner: "HPA x"))
            let answer = try await target.scale(Self.order)
            #expect(answer == .applied(reference: "d7"))
            let request = try #require(asked.all.last)
            #expect(request.method == "POST" && request.headers["Idempotency-Key"] == "orders/3/17")
            #expect(request.headers["Content-Type"] == "application/json")
            #expect(
                String(decoding: request.body, as: UTF8.self)
                    == #"{"do":"scale","policy":"orders","id":"orders/3/17","term":3,"seq":17,"count":5,"fence":null,"because":"more come"}"#
            )
            for request in asked.all {
                let signature = try #require(request.headers["carillon-signature"])
                let seconds = try #require(Int64(signature.dropFirst(2).prefix { $0 != "," }))
                #expect(signature == BodySignature.make(of: request.body, secret: Array("key".utf8), now: seconds))
            }
        }
    }

    @Test func `a server that is not asked by GET is asked by POST from then on`() async throws {
        try await Self.with({ $0.method == "GET" ? HTTPResponse(405) : Self.json(#"{"desired":1,"ready":1}"#) }) { target, asked in
            for _ in 0..<2 {
                let count = try await target.observe().count
                #expect(count == InstanceCount(desired: 1, ready: 1, starting: 0))
            }
            #expect(asked.all.map(\.method) == ["GET", "POST", "POST"])
            #expect(asked.all.allSatisfy { $0.headers["carillon-signature"] == nil })
            #expect(asked.all.last.map { String(decoding: $0.body, as: UTF8.self) } == #"{"do":"observe","policy":"orders"}"#)
        }
    }

    @Test(
        arguments: [
            (200, nil, "", ScaleResult.applied(reference: nil)), (204, nil, "", .applied(reference: nil)),
            (409, nil, #"{"message":"it is 9"}"#, .conflict("it is 9")),
            (412, nil, "", .conflict("somebody else wrote since the last look")),
            (423, nil, "deployment 7\nmore", .locked("deployment 7")), (429, "7", "", .throttled(after: 7)),
            (429, nil, "", .throttled(after: nil)),
            (503, "3", "", .throttled(after: 3)),
        ] as [(Int, String?, String, ScaleResult)])
    func `its answer tells what became of an order`(status: Int, retryAfter: String?, body: String, result: ScaleResult) async throws {
        try await Self.with({ _ in
            HTTPResponse(status, headers: retryAfter.map { ["Retry-After": $0] } ?? [:], body: .bytes(Array(body.utf8)))
        }) { target, _ in
            let answer = try await target.scale(Self.order)
            #expect(answer == result)
        }
    }

    @Test(
        arguments: [
            (400, TargetError.Kind.rejected, TargetError.Kind.unavailable), (422, .rejected, .unavailable),
            (401, .unauthorized, .unauthorized),
            (403, .unauthorized, .unauthorized), (404, .notFound, .notFound), (410, .notFound, .notFound),
            (500, .unavailable, .unavailable),
            (503, .unavailable, .unavailable), (302, .unavailable, .unavailable), (408, .unavailable, .unavailable),
            (409, nil, .unavailable), (429, nil, .unavailable),
        ] as [(Int, TargetError.Kind?, TargetError.Kind)])
    func `what is refused is an error, without what is secret in the URL`(
        status: Int, order: TargetError.Kind?, look: TargetError.Kind
    ) async throws {
        try await Self.with({ _ in HTTPResponse(status, headers: ["Location": "/elsewhere"], body: .bytes(Array("not today".utf8))) }) {
            target, asked in
            if let order {
                let error = await #expect(throws: TargetError.self) { try await target.scale(Self.order) }
                #expect(
                    error?.kind == order && error?.message.contains("not today") == true && error?.message.contains("\(status)") == true)
                #expect(error?.message.contains("hush") == false)
            }
            let error = await #expect(throws: TargetError.self) { try await target.observe() }
            #expect(error?.kind == look)
            #expect(asked.all.count == (order == nil ? 1 : 2))
        }
    }

    @Test func `a look whose answer says no count, and a server that is away, are errors`() async throws {
        try await Self.with({ _ in Self.json(#"{"ready":1}"#) }) { target, _ in
            let error = await #expect(throws: TargetError.self) { try await target.observe() }
            #expect(error?.kind == .unavailable)
        }
        let away = WebhookTarget(policy: "orders", url: "http://127.0.0.1:1/hook", secretFile: nil)
        let error = await #expect(throws: TargetError.self) { try await away.scale(Self.order) }
        #expect(error?.kind == .unavailable)
        let unsigned = WebhookTarget(policy: "orders", url: "http://127.0.0.1:1/hook", secretFile: "/no/such/file")
        let refusal = await #expect(throws: TargetError.self) { try await unsigned.observe() }
        #expect(refusal?.kind == .unauthorized && refusal?.message.contains("/no/such/file") == true)
    }
}
