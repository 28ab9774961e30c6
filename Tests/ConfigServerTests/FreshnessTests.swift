import ConfigModel
import ConfigRepositories
import ConfigServer
import HTTP
import Lifecycle
import Locking
import Testing

/// A repository whose content the test decides.
private final class Stage: ChangingRepository {
    private struct State {
        var version = "v1"
        var next: String?
        var generation = 1
        var status = RepositoryStatus()
        var looks = 0
    }
    let name = "stage"
    private let state = Locked(State())

    func environment(for audience: Audience) async throws(ConfigError) -> ConfigEnvironment {
        ConfigEnvironment(name: "foo", profiles: ["dev"], version: state.withLock { $0.version })
    }
    func resource(_ path: String, for audience: Audience) async throws(ConfigError) -> ConfigResource { throw ConfigError(.notFound, path) }
    var generation: Int? { state.withLock { $0.generation } }
    func status(for audience: Audience) -> RepositoryStatus { state.withLock { $0.status } }
    func refresh() async throws(ConfigError) -> [SnapshotChange] {
        state.withLock { state in
            state.looks += 1
            guard let next = state.next else { return }
            state.version = next
            state.next = nil
            state.generation += 1
        }
        return []
    }
    func onChange(_ handler: @escaping @Sendable (SnapshotChange) async -> Void) {}
    func run(_ life: ServiceLife) async throws {}

    func push(_ version: String) { state.withLock { $0.next = version } }
    func show(_ status: RepositoryStatus) {
        state.withLock {
            $0.status = status
            $0.generation += 1
        }
    }
    var looks: Int { state.withLock { $0.looks } }
}

struct FreshnessTests {
    private let stage = Stage()
    private var router = Router()

    init() { ConfigRoutes(stage, changing: [stage]).install(in: &router) }

    private func get(_ headers: HTTPHeaders = [:]) async throws -> HTTPResponse {
        await router.respond(to: try #require(HTTPRequest("GET", "/foo/dev", headers: headers)))
    }

    @Test func `a version that was pushed a moment ago is fetched and served`() async throws {
        #expect(try await get().headers["X-Config-Version"] == "v1")
        stage.push("v2")
        #expect(try await get().headers["X-Config-Version"] == "v1")
        #expect(try await get(["X-Config-Min-Version": "v2"]).headers["X-Config-Version"] == "v2")
        #expect(stage.looks == 1)
    }

    @Test func `clients that ask for what never comes do not make the server look all the time`() async throws {
        for _ in 0..<20 {
            let answer = try await get(["X-Config-Min-Version": "never"])
            #expect(answer.status == 503)
            #expect(answer.headers["Retry-After"] != nil)
        }
        #expect(stage.looks < 20)
    }

    @Test func `kept answers end with the generation`() async throws {
        _ = try await get()
        #expect(RequestHead.with("/foo/dev") { router.cached($0)?.response.headers["X-Config-Version"] } == "v1")
        stage.push("v2")
        _ = try await stage.refresh()
        #expect(RequestHead.with("/foo/dev") { router.cached($0) == nil })
        _ = try await get()
        #expect(RequestHead.with("/foo/dev") { router.cached($0)?.response.headers["X-Config-Version"] } == "v2")
    }

    @Test func `an answer says when it may be old and what is held back`() async throws {
        #expect(try await get().headers["X-Config-Stale"] == nil)
        stage.show(
            RepositoryStatus(staleSince: 1_704_067_200, rejected: .init(version: "v9", reason: "application.yml:2:1: not YAML\r\nX: y")))
        let answer = try await get()
        #expect(answer.status == 200)
        #expect(answer.headers["X-Config-Stale"] == "since Mon, 01 Jan 2024 00:00:00 GMT")
        #expect(answer.headers["X-Config-Rejected"] == "v9 application.yml:2:1: not YAML??X: y")
    }
}
