import Crypto
import HTTP
import Identity
import Testing

@Suite struct AccessPolicyTests {
    private let tokens = [
        AccessPolicy.Token(name: "ci", value: "t0ken", may: [.refresh]), AccessPolicy.Token(name: "app", value: "other", may: [.publish]),
    ]

    private func status(_ policy: AccessPolicy, _ method: String, _ path: String, _ headers: HTTPHeaders = [:]) throws -> Int {
        policy.refusal(of: try #require(HTTPRequest(method, path, headers: headers)))?.status ?? 200
    }

    @Test(arguments: [
        ("POST", "/bus/refresh", 401), ("POST", "/actuator/busrefresh/orders", 401), ("POST", "/bus/env?a=b", 401),
        ("POST", "/channels/orders", 401),
        ("PUT", "/channels/orders/groups/g/push", 401), ("DELETE", "/channels/orders/groups/g/push", 401),
        ("GET", "/channels/orders/groups/g/push", 200), ("POST", "/channels/orders/groups/g/dead-letters/drop", 401),
        ("POST", "/channels/orders/groups/g/settle", 401), ("GET", "/channels/orders", 200), ("GET", "/orders/default", 200),
        ("GET", "/metrics", 200),
        ("HEAD", "/orders/default", 200), ("DELETE", "/anything", 401), ("POST", "/monitor", 401),
    ])
    func `beyond loopback whatever changes something needs a token, and the answer says how to get one`(
        method: String, path: String, expected: Int
    ) throws {
        let policy = AccessPolicy(isLoopback: false)
        #expect(try status(policy, method, path) == expected)
        let refusal = policy.refusal(of: try #require(HTTPRequest("POST", "/bus/refresh")))
        #expect(refusal?.text?.contains("security: tokens:") == true)
        #expect(refusal?.headers["WWW-Authenticate"] == "Bearer")
    }

    @Test func `a token opens what it may and nothing else`() throws {
        let policy = AccessPolicy(tokens: tokens, isLoopback: false)
        #expect(try status(policy, "POST", "/bus/refresh", ["Authorization": "Bearer t0ken"]) == 200)
        #expect(try status(policy, "POST", "/bus/refresh", ["authorization": "bearer t0ken"]) == 200)
        #expect(try status(policy, "POST", "/bus/env", ["Authorization": "Bearer t0ken"]) == 403)
        #expect(try status(policy, "POST", "/bus/refresh", ["Authorization": "Bearer t0ke"]) == 401)
        #expect(try status(policy, "POST", "/bus/refresh", ["Authorization": "Bearer "]) == 401)
        #expect(try status(policy, "POST", "/channels/a", ["Authorization": "Bearer other"]) == 200)
        #expect(try status(policy, "POST", "/bus/refresh") == 401)
    }

    @Test func `on loopback without tokens all is open but to pages from elsewhere; with tokens they count there too`() throws {
        let policy = AccessPolicy(isLoopback: true)
        #expect(try status(policy, "POST", "/bus/refresh") == 200)
        #expect(try status(policy, "POST", "/bus/refresh", ["Origin": "http://evil.example"]) == 403)
        #expect(try status(policy, "POST", "/bus/refresh", ["Origin": "http://127.0.0.1.evil.example"]) == 403)
        #expect(try status(policy, "POST", "/bus/refresh", ["Origin": "http://localhost:8888"]) == 200)
        #expect(try status(AccessPolicy(tokens: tokens, isLoopback: true), "POST", "/bus/refresh") == 401)
    }

    @Test func `hooks that are signed need no token, and may show one instead`() throws {
        let policy = AccessPolicy(tokens: tokens, isLoopback: false, selfProving: ["monitor"])
        #expect(try status(policy, "POST", "/monitor") == 200)
        #expect(try status(policy, "POST", "/bus/refresh") == 401)
        let request = try #require(HTTPRequest("POST", "/monitor", headers: ["Authorization": "Bearer t0ken"]))
        #expect(policy.hasToken(request, may: .refresh))
        #expect(!policy.hasToken(request, may: .publish))
    }

    @Test func `an open network is open, and known to be`() throws {
        let policy = AccessPolicy(isOpen: true, isLoopback: false)
        #expect(try status(policy, "POST", "/channels/a") == 200)
        #expect(policy.leavesDoorsOpen)
        #expect(!AccessPolicy(isOpen: true, isLoopback: true).leavesDoorsOpen)
    }

    @Test func `a user stands before everything, reading included`() throws {
        let policy = AccessPolicy(isLoopback: true, user: .init(name: "user", password: "pä:ss"))
        #expect(try status(policy, "GET", "/orders/default") == 401)
        let header = "Basic " + Base64.encode(Array("user:pä:ss".utf8))
        #expect(try status(policy, "GET", "/orders/default", ["Authorization": header]) == 200)
        #expect(try status(policy, "POST", "/bus/refresh", ["Authorization": header]) == 200)
        #expect(try status(policy, "GET", "/orders/default", ["Authorization": "Basic !!!"]) == 401)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.1.2.3", true), ("::1", true), ("localhost", true), ("0.0.0.0", false), ("127.0.0.1.x", false),
        ("10.0.0.1", false),
    ])
    func `loopback addresses are known`(address: String, expected: Bool) {
        #expect(AccessPolicy.isLoopbackAddress(address) == expected)
    }
}
