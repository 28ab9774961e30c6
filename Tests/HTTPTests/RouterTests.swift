import HTTP
import Testing

@Suite struct RouterTests {
    private static func request(_ method: String, _ target: String) throws -> HTTPRequest { try #require(HTTPRequest(method, target)) }

    private static var router: Router {
        var router = Router()
        router.add("GET", "/") { _, _ in HTTPResponse(text: "root") }
        router.add("GET", "/channels/{destination}") { _, values in HTTPResponse(text: "channel \(values["destination"] ?? "")") }
        router.add("POST", "/channels/{destination}") { request, _ in HTTPResponse(201, bytes: request.body, type: "x/y") }
        router.add("POST", "/channels/{destination}/groups/{group}/pull", endsWithClient: true) { _, values in
            HTTPResponse(text: "\(values["destination"] ?? "") \(values["group"] ?? "")")
        }
        router.add("GET", "/health/live") { _, _ in HTTPResponse(text: "live") }
        router.add("GET", "/{application}/{profiles}") { _, values in HTTPResponse(text: "app \(values["application"] ?? "")") }
        router.add("GET", "/files/{name}/{rest…}") { _, values in HTTPResponse(text: "\(values["name"] ?? "") \(values["rest"] ?? "")") }
        router.add("PUT", "/teapot") { _, _ in throw Teapot() }
        router.add("PUT", "/broken") { _, _ in throw Broken() }
        return router
    }
    private struct Teapot: HTTPError { var response: HTTPResponse { HTTPResponse(418, text: "short and stout") } }
    private struct Broken: Error {}

    @Test(
        arguments: [
            ("GET", "/", 200, "root"), ("GET", "/channels/a%20b", 200, "channel a b"), ("POST", "/channels/a/groups/g/pull", 200, "a g"),
            ("GET", "/health/live", 200, "live"), ("GET", "/shop/prod", 200, "app shop"), ("GET", "/files/a/b/c%20d/", 200, "a b/c d/"),
            ("GET", "/files/a/b", 200, "a b"), ("HEAD", "/health/live", 200, "live"), ("PUT", "/teapot", 418, "short and stout"),
            ("GET", "/a/b/c/d", 404, nil),
            ("GET", "/channels/", 404, nil), ("DELETE", "/channels/a", 405, nil), ("OPTIONS", "/channels/a", 200, ""),
            ("OPTIONS", "*", 200, ""),
            ("PUT", "/broken", 500, nil),
        ] as [(String, String, Int, String?)])
    func `the first route that matches answers`(_ method: String, _ target: String, _ status: Int, _ text: String?) async throws {
        let response = await Self.router.respond(to: try Self.request(method, target))
        #expect(response.status == status)
        if let text { #expect(response.text == text) }
    }

    @Test func `what is possible is told where a method is not`() async throws {
        let response = await Self.router.respond(to: try Self.request("DELETE", "/channels/a"))
        #expect(response.headers["Allow"] == "GET, HEAD, POST, OPTIONS")
        #expect(response.text?.contains("DELETE") == true)
    }

    @Test func `only long polls end with their client`() throws {
        #expect(Self.router.endsWithClient(try Self.request("POST", "/channels/a/groups/g/pull")))
        #expect(!Self.router.endsWithClient(try Self.request("POST", "/channels/a")))
        #expect(!Self.router.endsWithClient(try Self.request("GET", "/nothing/at/all/here")))
    }

    @Test func `middleware runs around every route, the first one outermost`() async throws {
        var router = Self.router
        for name in ["outer", "inner"] {
            router.add(middleware: { request, next in
                var request = request
                request.headers.add("Trail", name)
                var response = await next(request)
                response.headers.add("Trail", name)
                return response
            })
        }
        router.add("GET", "/trail/now/here") { request, _ in HTTPResponse(text: request.headers.all("Trail").joined(separator: " ")) }
        let response = await router.respond(to: try Self.request("GET", "/trail/now/here"))
        #expect(response.text == "outer inner")
        #expect(response.headers.all("Trail") == ["inner", "outer"])
        let missing = await router.respond(to: try Self.request("GET", "/a/b/c/d"))
        #expect(missing.headers.all("Trail") == ["inner", "outer"], "also around what no route answers")
    }

    @Test func `routers are joined and their caches asked in order`() async throws {
        var other = Router()
        other.add("GET", "/other/one/two") { _, _ in HTTPResponse(text: "other") }
        let hit = CachedResponse(HTTPResponse(text: "hit"))
        other.add(cache: { head in
            guard head.target.elementsEqual("/hit".utf8), !head.isHead, head.header("Accept") == "text/x", !head.has("Cookie") else {
                return nil
            }
            return hit
        })
        var router = Self.router
        router.add(other)
        let response = await router.respond(to: try Self.request("GET", "/other/one/two"))
        #expect(response.text == "other")
        let joined = router
        #expect(RequestHead.with("/hit", headers: ["accept": "text/x \t"]) { joined.cached($0) } === hit)
        #expect(RequestHead.with("/hit", headers: ["accept": "text/x", "Cookie": ""]) { joined.cached($0) } == nil)
        #expect(RequestHead.with("/hit") { joined.cached($0) } == nil)
        #expect(RequestHead.with("/hit", isHead: true, headers: ["accept": "text/x"]) { joined.cached($0) } == nil)
    }
}
