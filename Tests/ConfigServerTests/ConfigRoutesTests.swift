import ConfigModel
import ConfigRepositories
import ConfigServer
import HTTP
import Testing

struct ConfigRoutesTests {
    func server(_ files: [String: String], settings: ConfigRoutes.Settings = ConfigRoutes.Settings()) -> (
        router: Router, routes: ConfigRoutes
    ) {
        let builder = EnvironmentBuilder(prefix: "memory:/", parsed: ParsedFiles())
        let routes = ConfigRoutes(MemoryRepository(["main": MemoryTree(texts: files, version: "c1")], builder: builder), settings: settings)
        var router = Router()
        router.add("GET", "/health/live") { _, _ in HTTPResponse(200, text: "live") }
        routes.install(in: &router)
        return (router, routes)
    }

    func get(_ router: Router, _ target: String, headers: HTTPHeaders = [:], method: String = "GET") async throws -> HTTPResponse {
        await router.respond(to: try #require(HTTPRequest(method, target, headers: headers)))
    }

    @Test func `an environment is served with its version and a strong tag`() async throws {
        let (router, _) = server(["application.yml": "port: 80", "foo-dev.properties": "port=8080"])
        let answer = try await get(router, "/foo/dev")
        #expect(answer.status == 200)
        #expect(
            answer.text
                == #"{"name":"foo","profiles":["dev"],"label":null,"version":"c1","state":null,"propertySources":[{"name":"memory:/foo-dev.properties","source":{"port":"8080"}},{"name":"memory:/application.yml","source":{"port":80}}]}"#
        )
        #expect(answer.headers["X-Config-Version"] == "c1")
        #expect(answer.headers["Content-Type"] == "application/json")
        #expect(answer.headers["ETag"]?.hasPrefix("\"") == true)
    }

    @Test func `a client that has the answer is told so`() async throws {
        let (router, _) = server(["application.yml": "port: 80"])
        let tag = try #require(try await get(router, "/foo/dev").headers["ETag"])
        for condition in [tag, "*", "W/\(tag)", "\"x\", \(tag)"] {
            let answer = try await get(router, "/foo/dev", headers: ["If-None-Match": condition])
            #expect(answer.status == 304)
            #expect(answer.bytes == [])
            #expect(answer.headers["ETag"] == tag)
            #expect(RequestHead.with("/foo/dev", headers: ["If-None-Match": condition]) { router.cached($0)?.response.status } == 304)
        }
        #expect(try await get(router, "/foo/dev", headers: ["If-None-Match": "\"x\""]).status == 200)
        let origins = try await get(
            router, "/foo/dev", headers: ["Accept": "application/vnd.spring-cloud.config-server.v2+json", "If-None-Match": tag])
        #expect(origins.status == 200)
    }

    @Test func `an answer given once is at hand afterwards, by what is accepted`() async throws {
        let (router, routes) = server(["application.yml": "port: 80"])
        #expect(RequestHead.with("/foo/dev") { router.cached($0) == nil })
        let first = try await get(router, "/foo/dev")
        #expect(RequestHead.with("/foo/dev") { router.cached($0)?.response.bytes } == first.bytes)
        #expect(RequestHead.with("/foo/dev", headers: ["Accept": "application/json"]) { router.cached($0) == nil })
        #expect(RequestHead.with("/foo/dev", headers: ["X-Config-Min-Version": "c1"]) { router.cached($0) == nil })
        #expect(RequestHead.with("/foo/prod") { router.cached($0) == nil })
        #expect(routes.audiences == [Audience(applications: ["foo"], profiles: ["dev"])])
    }

    @Test(arguments: ["/health/live"]) func `routes of others come first`(target: String) async throws {
        #expect(try await get(server([:]).router, target).text == "live")
    }

    @Test(arguments: ConfigRoutes.reserved.sorted()) func `a reserved first segment is never an application`(segment: String) async throws {
        let (router, _) = server(["application.yml": "a: 1"])
        #expect(try await get(router, "/\(segment)/anything").status == 404)
        #expect(try await get(router, "/\(segment)/a%25").status == 400)
    }

    @Test func `what is unreachable is 503, not missing`() async throws {
        let routes = ConfigRoutes(FolderRepository(FolderRepository.Settings(locations: ["/nowhere/at/all"]), parsed: ParsedFiles()))
        var router = Router()
        routes.install(in: &router)
        let answer = try await get(router, "/foo/dev")
        #expect(answer.status == 503)
        #expect(answer.headers["Retry-After"] != nil)
        #expect(answer.text?.contains("/nowhere/at/all") == true)
    }

    @Test func `a version that is not here yet is 503, one that is here is served`() async throws {
        let (router, _) = server(["application.yml": "a: 1"])
        #expect(try await get(router, "/foo/dev", headers: ["X-Config-Min-Version": "c1"]).status == 200)
        let answer = try await get(router, "/foo/dev?minVersion=c2")
        #expect(answer.status == 503)
        #expect(answer.headers["Retry-After"] != nil)
        #expect(try await get(router, "/foo/dev?minVersion=%0a%22").status == 400)
    }

    @Test func `empty environments are refused where the settings say so`() async throws {
        let (router, _) = server([:], settings: ConfigRoutes.Settings(acceptsEmpty: false))
        #expect(try await get(router, "/foo/dev").status == 404)
    }
}
