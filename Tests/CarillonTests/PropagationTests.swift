import Foundation
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
}
