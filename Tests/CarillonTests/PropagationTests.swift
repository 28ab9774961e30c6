import Foundation
import HTTPClient
import Testing
import TestSupport

/// The main job, with the built program: a commit reaches every instance.
@Suite(.timeLimit(.minutes(3))) struct PropagationTests {
    /// A server on a free port with this folder's `config` repository; `body` gets its URL.
    static func withServer<R>(
        _ folder: TemporaryFolder, settings: String = "", arguments: [String] = [], _ body: (Running, String) async throws -> R
    ) async throws -> R {
        try folder.write(
            "carillon.yaml",
            "server: {port: 0}\ndata: \(folder.path)/data\nrepositories: [{git: {uri: \(folder.path)/config}}]\n\(settings)")
        return try await Running.with(["serve", "--config", folder.path + "/carillon.yaml"] + arguments) { server in
            let port = try await server.logged("serving", field: "port")
            return try await body(server, "http://127.0.0.1:\(port)")
        }
    }

    @Test func `three agents take over a commit, restart their command with it, and status says so`() async throws {
        try await TemporaryFolder.with { folder in
            let first = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
            try await Self.withServer(folder) { _, url in
                let agent = { (number: Int) in
                    [
                        "agent", "--server", url, "--app", "orders", "--instance", "w\(number)", "--cache",
                        "\(folder.path)/cache-\(number)",
                        "--on-change", "restart", "--", "sh", "-c", "echo started with $GREETING; while :; do sleep 0.2; done",
                    ]
                }
                try await Running.with(agent(1)) { one in
                    try await Running.with(agent(2)) { two in
                        try await Running.with(agent(3)) { three in
                            let before = try await Running.run(
                                ["status", "--server", url, "--version", first, "--count", "3", "--wait", "30s"])
                            #expect(before.code == 0, "\(before) \(one.errors)")
                            #expect(before.output.hasSuffix("3 of 3 instances run \(first)\n"))

                            let second = try folder.commit(in: "config", ["orders.yml": "greeting: goodbye\n"])
                            let after = try await Running.run(
                                ["status", "--server", url, "--version", second, "--count", "3", "--wait", "30s"])
                            #expect(after.code == 0, "\(after)")
                            #expect(after.output.hasSuffix("3 of 3 instances run \(second)\n"))
                            for agent in [one, two, three] {
                                try await eventually { agent.output.contains("started with goodbye") }
                                #expect(agent.output.contains("started with hello"))
                            }
                            let never = try await Running.run(
                                ["status", "--server", url, "--version", String(repeating: "0", count: 40), "--wait", "200ms"])
                            #expect(never.code == 1)
                        }
                    }
                }
            }
        }
    }

    @Test func `an agent writes whole files, and offers the same configuration on its own port`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "pool: {size: 10}\n"])
            try await Self.withServer(folder) { _, url in
                let agent = [
                    "agent", "--server", url, "--app", "orders", "--cache", folder.path + "/cache", "--config-file",
                    folder.path + "/out.json",
                    "--listen", "0", "--on-change", "rewrite", "--", "sleep", "1000",
                ]
                try await Running.with(agent) { agent in
                    let port = try await agent.logged("listening", field: "port")
                    try await eventually { FileManager.default.fileExists(atPath: folder.path + "/out.json") }
                    #expect(try String(contentsOfFile: folder.path + "/out.json", encoding: .utf8).contains("\"size\":10"))
                    try await eventually {
                        try await Running.run(["get", "orders", "--key", "pool.size", "--server", "http://127.0.0.1:\(port)"]).output
                            == "10\n"
                    }
                    // Whoever takes a refresh passes it on: the server hears of it over the bus.
                    let told = try await Running.run(["refresh", "--json", "--server", "http://127.0.0.1:\(port)"])
                    #expect(told.code == 0, "\(told)")
                    let event = try JSONSerialization.jsonObject(with: Data(told.output.utf8)) as? [String: String]
                    let id = try #require(event?["event"])
                    try await eventually {
                        try await HTTPClient().send(HTTPClientRequest("GET", url + "/bus/trace")).text.contains(id)
                    }
                }
            }
        }
    }

    @Test func `a commit that cannot be parsed is not served, and everyone is told why`() async throws {
        try await TemporaryFolder.with { folder in
            let good = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
            try await Self.withServer(folder) { server, url in
                _ = try folder.commit(in: "config", ["orders.yml": "greeting: [never closed\n"])
                try await eventually { server.errors.contains("orders.yml") }
                let (code, output, _) = try await Running.run(["get", "orders", "--server", url, "--key", "greeting"])
                #expect(code == 0)
                #expect(output == "hello\n")
                let sources = try await Running.run(["get", "orders", "--server", url, "--sources"])
                #expect(sources.output.contains(good))
            }
        }
    }

    @Test func `a server killed in the middle serves the same answers again and forgets no group's position`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
            let answer = try await Self.withServer(folder) { server, url in
                // The group exists from its first member on, and keeps what comes while nobody is there.
                let first = try await Running.with(["subscribe", "work", "--group", "g", "--server", url, "--count", "1"]) { subscriber in
                    try await eventually {
                        if !subscriber.output.isEmpty { return true }
                        _ = try await Running.run(["publish", "work", "--server", url], input: "one\n")
                        return false
                    }
                    return try await subscriber.ended()
                }
                #expect(first == 0)
                let published = try await Running.run(["publish", "work", "--server", url], input: "two\nthree\n")
                #expect(published.code == 0, "\(published)")
                let answer = try await Running.run(["get", "orders", "--server", url, "--sources"]).output
                server.send(SIGKILL)
                try await server.ended()
                return answer
            }
            try await Self.withServer(folder) { _, url in
                #expect(try await Running.run(["get", "orders", "--server", url, "--sources"]).output == answer)
                try await Running.with(["subscribe", "work", "--group", "g", "--server", url]) { subscriber in
                    try await eventually { subscriber.output.contains("two\n") && subscriber.output.contains("three\n") }
                }
            }
        }
    }

    @Test func `who asked before a restart is told of a change after it, and only who it concerns`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "a: 1\n", "billing.yml": "a: 1\n"])
            try await Self.withServer(folder) { _, url in
                for application in ["orders", "billing"] {
                    let asked = try await Running.run(["get", application, "--server", url])
                    #expect(asked.code == 0)
                }
            }
            try await Self.withServer(folder) { server, _ in
                _ = try folder.commit(in: "config", ["billing.yml": "a: 2\n"])
                let destinations = try await server.logged("a change is published", field: "destinations")
                #expect(destinations == "billing:**")
            }
        }
    }

    @Test func `a server with tokens takes changes from those who have one only`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "a: 1\n"])
            try folder.write("token", "s3cret\n")
            let settings = "security: {tokens: [{name: ci, value-file: \(folder.path)/token, may: [refresh]}]}\n"
            try await Self.withServer(folder, settings: settings) { _, url in
                let refused = try await Running.run(["refresh", "--server", url])
                #expect(refused.code == 1)
                #expect(refused.errors.contains("401"))
                #expect(refused.errors.contains("token"))
                #expect(try await Running.run(["refresh", "--server", url, "--token-file", folder.path + "/token"]).code == 0)
                let other = try await Running.run(["publish", "x", "--server", url, "--token-file", folder.path + "/token"], input: "y\n")
                #expect(other.code == 1)
                #expect(try await Running.run(["get", "orders", "--server", url]).code == 0)
            }
        }
    }

    @Test func `a server whose broker is away serves configuration, and says that it is not ready`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["orders.yml": "a: 1\n"])
            try await Self.withServer(folder, arguments: ["--binder", "amqp://guest:guest@127.0.0.1:1/"]) { server, url in
                #expect(try await Running.run(["get", "orders", "--server", url, "--key", "a"]).output == "1\n")
                let refused = try await Running.run(["refresh", "--server", url])
                #expect(refused.code == 1)
                #expect(refused.errors.contains("503"))
                server.send(SIGTERM)
                #expect(try await server.ended() == 0)
            }
        }
    }

    @Test(.enabled(if: RabbitMQServer.isInstalled, Comment(rawValue: RabbitMQServer.whyNot)))
    func `over a real RabbitMQ instances converge, and one that was cut off learns of what it missed`() async throws {
        try await RabbitMQServer.with { broker in
            try await TemporaryFolder.with { folder in
                let first = try folder.commit(in: "config", ["orders.yml": "greeting: hello\n"])
                try await Self.withServer(folder, arguments: ["--binder", broker.uri]) { _, url in
                    let agent = [
                        "agent", "--server", url, "--binder", broker.uri, "--app", "orders", "--instance", "w", "--cache",
                        "\(folder.path)/cache",
                        "--poll", "0", "--", "sh", "-c", "echo started with $GREETING; while :; do sleep 0.2; done",
                    ]
                    try await Running.with(agent) { instance in
                        let before = try await Running.run(["status", "--server", url, "--version", first, "--count", "1", "--wait", "60s"])
                        #expect(before.code == 0, "\(before) \(instance.errors)")
                        // The event of this commit cannot reach anybody; the instance compares when it is connected again.
                        try await broker.kill()
                        let second = try folder.commit(in: "config", ["orders.yml": "greeting: again\n"])
                        try await broker.start()
                        let after = try await Running.run(
                            ["status", "--server", url, "--version", second, "--count", "1", "--wait", "60s"], within: .seconds(90))
                        #expect(after.code == 0, "\(after)")
                        try await eventually { instance.output.contains("started with again") }
                    }
                }
            }
        }
    }
}
