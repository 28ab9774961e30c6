import Foundation
import Testing
import TestSupport

/// A whole server with local workers: a backlog makes them start, an empty queue ends them, and operators ask and override.
struct ScaleCommandTests {
    private struct Server {
        let folder: URL
        let url: String
        let running: Running
        var environment: [String: String] { ["CARILLON_SERVER": url] }
        func scale(_ arguments: String..., code: Int32 = 0) async throws -> String {
            let result = try await Running.run(["scale"] + arguments, environment: environment)
            #expect(result.code == code, "\(arguments): \(result.errors)")
            return code == 0 ? result.output : result.errors
        }
        func policy() async throws -> [String: Any] {
            let list = try JSONSerialization.jsonObject(with: Data(try await scale("list", "--json").utf8)) as? [[String: Any]]
            return try #require(list?.first)
        }
        /// Lines that workers wrote, one for each event done.
        var done: [String] {
            ((try? String(contentsOf: folder.appendingPathComponent("done"), encoding: .utf8)) ?? "").split(separator: "\n").map(
                String.init)
        }
    }

    private static func settings(_ folder: URL) throws -> String {
        let path = folder.appendingPathComponent("carillon.yaml").path
        let work = folder.appendingPathComponent("work").path
        try "event=$(cat); echo $event >> \(folder.appendingPathComponent("done").path)\n".write(
            toFile: work, atomically: true, encoding: .utf8)
        try """
        repositories: [{folder: \(folder.path)/config}]
        scaling:
          poll: 1s
          policies:
            orders:
              max: 3
              conditions:
                - queue: {destination: orders, group: workers, wait: 10s}
              instance: {rate: 20, start: 1s}
              idle: 3s
              down-window: 3s
              target: {local: {command: [\(Running.program.path), subscribe, orders, --group, workers, --exec, sh \(work)]}}
        """.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func serve(_ folder: URL, port: Int = 0, _ body: (Server) async throws -> Void) async throws {
        let config = try Self.settings(folder)
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("config"), withIntermediateDirectories: true)
        let arguments = ["serve", "--config", config, "--port", "\(port)", "--data", folder.appendingPathComponent("data").path]
        try await Running.with(arguments) { running in
            let port = try await running.logged("serving", field: "port", within: .seconds(60))
            try await body(Server(folder: folder, url: "http://127.0.0.1:\(port)", running: running))
        }
    }

    @Test func aBacklogStartsWorkersThatDoEachEventOnceAndThenLeave() async throws {
        try await withTemporaryFolder { path in
            try await serve(URL(fileURLWithPath: path)) { server in
                let events = (1...60).map { "event-\($0)" }
                let published = try await Running.run(
                    ["publish", "orders"], environment: server.environment, input: events.joined(separator: "\n") + "\n")
                #expect(published.code == 0)
                try await eventually(within: .seconds(120), "all events are done") { server.done.count >= 60 }
                #expect(server.done.sorted() == events.sorted())
                try await eventually(within: .seconds(120), "no worker is left") {
                    let policy = try await server.policy()
                    return policy["desired"] as? Int == 0 && policy["ready"] as? Int == 0
                }
                let story = try await server.scale("explain", "orders")
                #expect(story.contains("nothing waits, is in hand or arrived in `orders`"))
                let past = try await server.scale("explain", "orders", "--at", "1s", "--json")
                #expect(past.contains("\"seq\":"))
            }
        }
    }

    @Test func operatorsOverrideAndAreToldWhatCannotBe() async throws {
        try await withTemporaryFolder { path in
            try await serve(URL(fileURLWithPath: path)) { server in
                let set = try await server.scale("set", "orders", "100", "--until", "1h")
                #expect(set.contains("orders: set to 3 until"))
                #expect(set.contains("100 is outside what the policy allows, 0 to 3: set to 3"))
                try await eventually(within: .seconds(60), "three workers") { try await server.policy()["ready"] as? Int == 3 }
                #expect(try await server.policy()["held"] as? [String: Any] != nil)
                #expect(try await server.scale("hold", "orders", "2h").contains("hold until"))
                #expect(try await server.scale("resume", "orders").contains("the policy decides"))
                #expect(try await server.policy()["held"] is NSNull)
                #expect(try await server.scale("explain", "order", code: 1).contains("did you mean `orders`?"))
                #expect(try await server.scale("set", "orders", "1", code: 2).contains("--until"))
                #expect(try await server.scale("hold", "orders", "soon", code: 2).contains("duration from now"))
                #expect(try await server.scale("lost", code: 2).contains("did you mean `list`?"))
                let metrics = try await Running.shell("curl -s \(server.url)/metrics")
                #expect(metrics.contains("carillon_scaling_ready_instances{policy=\"orders\"}"))
            }
        }
    }

    @Test func workersOutliveAKilledServerAndTheNextOneStartsNoneTwice() async throws {
        try await withTemporaryFolder { path in
            let folder = URL(fileURLWithPath: path)
            let workers = { try await Running.shell("pgrep -f '[e]xec sh \(path)/work' | wc -l") }
            let port = freePort()
            try await serve(folder, port: port) { server in
                _ = try await server.scale("set", "orders", "2", "--until", "1h")
                try await eventually(within: .seconds(60), "two workers") { try await server.policy()["ready"] as? Int == 2 }
                server.running.send(SIGKILL)
                try await server.running.ended()
            }
            #expect(try await workers().trimmingCharacters(in: .whitespacesAndNewlines) == "2")
            // On the same port: that is where the workers look for it.
            try await serve(folder, port: port) { server in
                try await eventually(within: .seconds(60), "the next one decides on") {
                    try await server.policy()["ready"] as? Int == 2
                }
                #expect(try await workers().trimmingCharacters(in: .whitespacesAndNewlines) == "2")
                #expect(try await server.policy()["held"] as? [String: Any] != nil)
            }
            // The orderly end ended the workers too.
            #expect(try await workers().trimmingCharacters(in: .whitespacesAndNewlines) == "0")
        }
    }

    @Test func anUnknownKeyOfTheSectionStopsTheStartAndNamesTheNearestOne() async throws {
        try await withTemporaryFolder { path in
            let config = try Self.settings(URL(fileURLWithPath: path))
            let text = try String(contentsOfFile: config, encoding: .utf8)
            try text.replacing("down-window", with: "down-windw").write(toFile: config, atomically: true, encoding: .utf8)
            let result = try await Running.run(["serve", "--config", config, "--port", "0", "--data", path + "/data"])
            #expect(result.code == 2)
            #expect(
                result.errors.contains(
                    "unknown setting `scaling.policies.orders.down-windw`; did you mean `scaling.policies.orders.down-window`?"))
        }
    }

    @Test func whatWasDecidedLiveIsDecidedAgainTheSame() async throws {
        try await withTemporaryFolder { path in
            let folder = URL(fileURLWithPath: path)
            try await serve(folder) { server in
                _ = try await Running.run(["publish", "orders"], environment: server.environment, input: "a\nb\nc\n")
                try await eventually(within: .seconds(120), "some decisions") {
                    let list = try await Running.shell("curl -s '\(server.url)/scaling/orders/decisions?from=1h'")
                    try list.write(toFile: path + "/decisions.json", atomically: true, encoding: .utf8)
                    return list.split(separator: "\n").count > 8
                }
                let again = try await Running.run(
                    ["simulate", "--policy", path + "/carillon.yaml#orders", "--decisions", path + "/decisions.json"])
                #expect(again.code == 0, "\(again.output)\(again.errors)")
            }
        }
    }

    @Test func aRecordEndsWhenItsReaderHasLeft() async throws {
        try await withTemporaryFolder { path in
            try """
            scaling:
              poll: 1s
              policies:
                orders:
                  max: 3
                  instance: {rate: 1}
                  conditions: [{queue: {source: {http: "http://127.0.0.1:1/", backlog: /n}, wait: 10s}}]
            """.write(toFile: path + "/carillon.yaml", atomically: true, encoding: .utf8)
            let record = "timeout 40 \(Running.program.path) scale record --policy \(path)/carillon.yaml"
            let read = try await Running.shell("{ \(record) 2>\(path)/errors; echo $? >\(path)/code; } | head -n 1")
            #expect(read.hasPrefix("time,published"))
            try await eventually(within: .seconds(60), "the record has ended") { FileManager.default.fileExists(atPath: path + "/code") }
            #expect(try String(contentsOfFile: path + "/code", encoding: .utf8) == "1\n")
            #expect(try String(contentsOfFile: path + "/errors", encoding: .utf8).contains("has its reader left"))
        }
    }
}
