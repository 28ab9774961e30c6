import ConfigModel
import ConfigRepositories
import ConfigServer
import Crypto
import HTTP
import Locking
import Testing

struct MonitorRoutesTests {
    /// What the routes did, in order.
    final class Deeds: Sendable {
        private let list = Locked<[String]>([])
        var all: [String] { list.withLock { $0 } }
        func add(_ deed: String) { list.withLock { $0.append(deed) } }
    }
    let deeds = Deeds()
    static let push = #"{"ref": "refs/heads/main", "commits": [{"modified": ["foo-dev.yml"]}]}"#

    private func post(
        _ settings: MonitorRoutes.Settings = MonitorRoutes.Settings(mode: .guessing), headers: HTTPHeaders = ["X-GitHub-Event": "push"],
        body: String = Self.push, type: String = "application/json", path: String = "/monitor", unreachable: Bool = false,
        brokerAway: Bool = false,
        trusted: Bool = false
    ) async throws -> HTTPResponse {
        var router = Router()
        MonitorRoutes(
            settings, isTrusted: { _ in trusted },
            refresh: { [deeds] in
                deeds.add("refresh")
                if unreachable { throw ConfigError(.unavailable, "the repository is away") }
            },
            publish: { [deeds] services in
                deeds.add(services.joined(separator: " "))
                if brokerAway { throw ConfigError(.unavailable, "the broker is away") }
            }
        ).install(in: &router)
        var headers = headers
        headers["Content-Type"] = type
        return await router.respond(to: try #require(HTTPRequest("POST", path, headers: headers, body: Array(body.utf8))))
    }

    @Test func `the repositories are looked at before anybody is told`() async throws {
        let response = try await post()
        #expect(response.status == 200 && response.text == #"["foo-dev","foo"]"#)
        #expect(deeds.all == ["refresh", "foo-dev foo"])
    }

    @Test func `where changes are compared the guess is answered but not published`() async throws {
        #expect(try await post(MonitorRoutes.Settings(mode: .effective)).text == #"["foo-dev","foo"]"#)
        #expect(deeds.all == ["refresh"])
    }

    @Test func `a push without commits, a new branch say, is looked at too`() async throws {
        #expect(try await post(body: #"{"ref": "refs/heads/new", "commits": []}"#).text == "[]")
        #expect(deeds.all == ["refresh"])
    }

    @Test func `a ping does nothing`() async throws {
        #expect(try await post(headers: ["X-GitHub-Event": "ping"], body: #"{"zen": "x"}"#).text == "[]")
        #expect(deeds.all.isEmpty)
    }

    @Test func `a repository or a broker that is away is 503 and the sender tries again`() async throws {
        let away = try await post(unreachable: true)
        #expect(away.status == 503 && away.headers["Retry-After"] != nil && deeds.all == ["refresh"])
        #expect(try await post(brokerAway: true).status == 503)
    }

    private static func signed(_ body: String, _ secret: String) -> String {
        Hexadecimal.encode(HMAC.sha256(Array(body.utf8), key: Array(secret.utf8)))
    }

    @Test(
        arguments: [
            ["X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + signed(push, "s3")],
            ["X-Gitea-Event": "push", "X-Gitea-Signature": signed(push, "s3")],
            ["X-Gogs-Event": "push", "X-Gogs-Signature": signed(push, "s3")],
            ["X-Event-Key": "repo:push", "X-Hub-Signature": "sha256=" + signed(push, "s3")],
            ["X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "s3"],
            ["X-Git-Oschina-Event": "Push Hook", "X-Gitee-Token": "s3"],
        ] as [HTTPHeaders])
    func `with a secret a signed hook passes`(headers: HTTPHeaders) async throws {
        #expect(try await post(MonitorRoutes.Settings(secret: "s3"), headers: headers).status == 200)
    }

    @Test(
        arguments: [
            [:], ["X-Hub-Signature-256": "sha256=" + signed(push, "other")], ["X-Hub-Signature-256": signed(push, "s3")],
            ["X-Hub-Signature-256": "sha256="],
            ["X-Hub-Signature-256": "sha256=zz"], ["X-Hub-Signature": "sha1=" + signed(push, "s3")], ["X-Gitlab-Token": ""],
            ["X-Gitlab-Token": "s"],
            ["X-Gitea-Signature": signed("{}", "s3")], ["X-Gitea-Signature": ""],
        ] as [HTTPHeaders])
    func `with a secret any other hook is 401 with the remedy and does nothing`(headers: HTTPHeaders) async throws {
        let response = try await post(MonitorRoutes.Settings(secret: "s3"), headers: headers)
        #expect(response.status == 401)
        #expect(response.text?.contains("monitor.secret") == true && response.text?.contains("s3\"") == false)
        #expect(deeds.all.isEmpty)
        #expect(try await post(MonitorRoutes.Settings(secret: "s3"), headers: headers, trusted: true).status == 200)
    }

    @Test func `an empty secret is never right`() async throws {
        #expect(try await post(MonitorRoutes.Settings(secret: ""), headers: ["X-Gitlab-Token": ""]).status == 401)
    }

    @Test(
        arguments: [
            (#"{"ref": "refs/heads/main", "commits": []}"#, ["X-GitHub-Event": "push"], true),
            (#"{"ref": "refs/heads/feature/x", "commits": []}"#, ["X-GitHub-Event": "push"], false),
            (#"{"ref": "refs/heads/release/1", "commits": []}"#, ["X-Gitlab-Event": "Push Hook"], true),
            (
                #"{"push": {"changes": [{"new": {"type": "branch", "name": "x"}}, {"new": {"name": "main"}}]}}"#,
                ["X-Event-Key": "repo:push", "X-Hook-UUID": "u"], true
            ),
            (#"{"push": {"changes": [{"new": null, "old": {"name": "x"}}]}}"#, ["X-Event-Key": "repo:push", "X-Hook-UUID": "u"], false),
            (#"{"changes": [{"ref": {"id": "refs/heads/x"}}]}"#, ["X-Event-Key": "repo:refs_changed", "X-Request-Id": "u"], false),
            (#"{"changes": [{"refId": "refs/heads/main"}]}"#, ["X-Event-Key": "repo:refs_changed", "X-Request-Id": "u"], true),
            (#"{"path": "foo.yml"}"#, [:], true),
        ] as [(String, HTTPHeaders, Bool)])
    func `pushes to other branches are passed over`(body: String, headers: HTTPHeaders, counts: Bool) async throws {
        #expect(try await post(MonitorRoutes.Settings(branches: ["main", "release/*"]), headers: headers, body: body).status == 200)
        #expect(deeds.all == (counts ? ["refresh"] : []))
    }

    @Test func `a provider can be switched off, and a form can carry GitHub's payload`() async throws {
        #expect(try await post(MonitorRoutes.Settings(disabled: [.github])).text == "[]")
        let payload = PercentEncoding.encode(Self.push)
        #expect(try await post(body: "payload=" + payload, type: "application/x-www-form-urlencoded").text == #"["foo-dev","foo"]"#)
        #expect(try await post(headers: [:], body: "path=a.yml,b.yml", type: "application/x-www-form-urlencoded").text == #"["a","b"]"#)
    }

    @Test func `hostile bodies are refused or mean nothing`() async throws {
        let bodies = [
            "", "{", "[]", "null", "1", "\"x\"", "{\"commits\": 1}",
            "{\"commits\": [1, null, [], {\"added\": 3}, {\"added\": [1, {}, null]}]}",
            "{\"path\": {}}", "{\"path\": [1, null]}", "{\"ref\": [], \"commits\": [{}]}", "{\"push\": {\"changes\": [1]}}",
            "{\"changes\": [null]}",
            String(repeating: "[", count: 100_000), "{\"path\": \"" + String(repeating: "-", count: 5000) + "\"}", "{\"path\":\"\u{0}\"}",
        ]
        let events: [HTTPHeaders] = [
            [:], ["X-GitHub-Event": "push"], ["X-Gitea-Event": "push"], ["X-Event-Key": "repo:push", "X-Hook-UUID": "u"],
            ["X-Event-Key": "repo:refs_changed", "X-Request-Id": "r"],
        ]
        for body in bodies {
            for headers in events {
                for type in ["application/json", "application/x-www-form-urlencoded", "text/xml", ""] {
                    let response = try await post(headers: headers, body: body, type: type)
                    #expect([200, 400, 415].contains(response.status))
                }
            }
        }
    }
}
