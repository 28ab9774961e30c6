import Bus
import ConfigAgent
import ConfigClient
import Foundation
import Glibc
import HTTP
import Lifecycle
import Locking
import Streams
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct AgentTests {
    /// Writes `name=value` of the variables and then waits, noting signals.
    private static func script(_ folder: String, _ extra: String = "") -> [String] {
        let log = "\(folder)/log"
        return [
            "/bin/sh", "-c",
            "trap 'echo hup >>\(log)' HUP; \(extra) echo \"started $POOL_SIZE $HOSTS_0\" >>\(log); while :; do sleep 0.05; done",
        ]
    }

    @Test func `the command gets files and variables, and its exit code is the agent's`() async throws {
        try await AgentBench.with(["pool.size": "8", "hosts[0]": "a b", "path": "/nowhere", "quoted": "it's $5"]) { configuration, folder in
            configuration.command = [
                "/bin/sh", "-c",
                "cat \(folder)/out \(folder)/env >\(folder)/log; echo $POOL_SIZE \"$HOSTS_0\" >>\(folder)/log; cat nothing 2>/dev/null; exit 7",
            ]
            configuration.change = .rewrite
            configuration.files = [
                RenderedFile(.template(path: folder + "/template"), path: folder + "/out"),
                RenderedFile(.environment, path: folder + "/env", mode: 0o640),
            ]
            configuration.folder = folder
            try? "size=${pool.size} ${none:default} \\${literal}\n".write(toFile: folder + "/template", atomically: true, encoding: .utf8)
        } _: { bench in
            try await eventually { bench.ended.isOver }
            #expect(bench.ended.error == nil)
            #expect(bench.agent.exitCode == 7)
            #expect(
                bench.read("log") == "size=8 default ${literal}\nHOSTS_0=\"a b\"\nPATH=/nowhere\nPOOL_SIZE=8\nQUOTED=\"it's \\$5\"\n8 a b\n"
            )
            for (file, mode) in [("out", 0o600), ("env", 0o640)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: bench.folder + "/" + file)
                #expect(attributes[.posixPermissions] as? Int == mode)
            }
        }
    }

    @Test func `a restart brings the change, and the receipts say so`() async throws {
        try await AgentBench.with(["pool.size": "8", "hosts[0]": "a"]) { configuration, folder in
            configuration.command = Self.script(folder)
        } _: { bench in
            try await eventually { bench.read("log") == "started 8 a\n" }
            try await bench.publish(["pool.size": "9", "hosts[0]": "a"], version: "v2")
            try await eventually { bench.read("log") == "started 8 a\nstarted 9 a\n" }
            try await eventually { bench.receipts.contains(.applied, version: "v2") }
            let receipt = try #require(bench.receipts.all.first { $0.outcome == .applied })
            #expect(receipt.running.hash == bench.agent.client.snapshot?.contentHash)
            #expect(receipt.application == "orders")
            #expect(bench.canned.requests.last?.headers["X-Config-Min-Version"] == "v2")

            try await bench.publish(["pool.size": "9", "hosts[0]": "a"], version: "v3")
            try await eventually { bench.receipts.contains(.unchanged, version: "v3") }
            #expect(bench.read("log") == "started 8 a\nstarted 9 a\n", "an equal content restarts nothing")
            bench.shutdown.request()
            try await eventually { bench.ended.isOver }
            #expect(bench.agent.exitCode == 128 + SIGTERM)
        }
    }

    @Test func `a signal tells the command, a change that does not concern it does not`() async throws {
        try await AgentBench.with(["pool.size": "8", "other": "x"]) { configuration, folder in
            configuration.command = Self.script(folder)
            configuration.change = .signal(SIGHUP)
            configuration.passesEnvironment = false
            configuration.files = [RenderedFile(.template(path: folder + "/template"), path: folder + "/out")]
            try? "size=${pool.size}\n".write(toFile: folder + "/template", atomically: true, encoding: .utf8)
        } _: { bench in
            try await eventually { bench.read("log") == "started  \n" }
            try await bench.publish(["pool.size": "8", "other": "y"], version: "v2")
            try await eventually { bench.receipts.contains(.applied, version: "v2") }
            #expect(bench.read("log") == "started  \n")
            try await bench.publish(["pool.size": "9", "other": "y"], version: "v3")
            try await eventually { bench.read("log") == "started  \nhup\n" }
            #expect(bench.read("out") == "size=9\n")
            try await eventually { bench.receipts.contains(.applied, version: "v3") }
        }
    }

    @Test func `rewrite changes files and leaves the command alone`() async throws {
        try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
            configuration.command = Self.script(folder)
            configuration.change = .rewrite
            configuration.files = [RenderedFile(.environment, path: folder + "/env")]
        } _: { bench in
            try await eventually { bench.read("log") == "started 8 \n" }
            try await bench.publish(["pool.size": "9"], version: "v2")
            try await eventually { bench.receipts.contains(.applied, version: "v2") }
            #expect(bench.read("env") == "POOL_SIZE=9\n")
            #expect(bench.read("log") == "started 8 \n")
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: bench.folder).sorted() == ["cache", "env", "log"],
                "no temporary file stays")
        }
    }

    @Test func `a change that cannot be rendered or checked is not taken over, and the receipt says why without a value`() async throws {
        try await AgentBench.with(["pool.size": "8", "word": "good"]) { configuration, folder in
            configuration.files = [RenderedFile(.template(path: folder + "/template"), path: folder + "/out")]
            configuration.check = "grep -q good \"$1\""
            try? "size=${pool.size} ${word}\n".write(toFile: folder + "/template", atomically: true, encoding: .utf8)
        } _: { bench in
            try await eventually { bench.read("out") == "size=8 good\n" }
            try await bench.publish(["pool.size": "8", "word": "evil-secret"], version: "v2")
            try await eventually { bench.receipts.all.contains { $0.outcome == .failed } }
            let refused = try #require(bench.receipts.all.first { $0.outcome == .failed })
            #expect(refused.error?.contains("the check refuses the version v2") == true)
            #expect(refused.error?.contains("secret") == false)
            #expect(refused.running.version == "v1")
            try await bench.publish(["pool.size": "8"], version: "v3")
            try await eventually { bench.receipts.all.filter { $0.outcome == .failed }.count == 2 }
            #expect(bench.receipts.all.last { $0.outcome == .failed }?.error?.contains("names what has no value: word") == true)
            #expect(bench.read("out") == "size=8 good\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: bench.folder).sorted() == ["cache", "out", "template"])
            try await bench.publish(["pool.size": "9", "word": "good"], version: "v4")
            try await eventually { bench.receipts.contains(.applied, version: "v4") }
            #expect(bench.read("out") == "size=9 good\n")
        }
    }

    @Test func `with the server down it starts from the last known good, and follows when the server is back`() async throws {
        var template = Array("/tmp/carillon-agent-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let canned = CannedConfiguration(["pool.size": "8"])
        let port = freePort()
        try await AgentBench.with([:], folder: folder, port: port, canned: canned) { configuration, _ in
            configuration.command = Self.script(folder)
        } _: { bench in
            try await eventually { bench.read("log") == "started 8 \n" }
        }
        try await AgentBench.with([:], serverIsDown: true, folder: folder, port: port, canned: canned) { configuration, _ in
            configuration.command = Self.script(folder)
            configuration.client.pollInterval = .milliseconds(100)
        } _: { bench in
            try await eventually { bench.read("log") == "started 8 \nstarted 8 \n" }
            guard case .stale = bench.agent.client.state else {
                Issue.record("the state is \(bench.agent.client.state)")
                return
            }
            bench.canned.set(["pool.size": "9"], version: "v2")
            try await TestHTTPServer.with(bench.canned, port: port) { _ in
                try await eventually { bench.read("log") == "started 8 \nstarted 8 \nstarted 9 \n" }
                try await eventually("a report without an event") { bench.receipts.contains(.running, version: "v2") }
            }
        }
    }

    @Test(arguments: [[SubscriptionEvent.interrupted("away"), .resumed], [.gap]])
    func `a change without an event is found when the bus is connected again`(_ events: [SubscriptionEvent]) async throws {
        let binder = MemoryBinder()
        try await AgentBench.with(["pool.size": "8"], binder: binder) { configuration, folder in
            configuration.files = [RenderedFile(.environment, path: folder + "/env")]
        } _: { bench in
            try await eventually { bench.receipts.contains(.running, version: "v1") }
            #expect(bench.canned.requests.count == 1, "nothing to compare: the bus was connected before the first fetch")
            bench.canned.set(["pool.size": "9"], version: "v2")
            for event in events { binder.tell(event) }
            try await eventually { bench.read("env") == "POOL_SIZE=9\n" }
            try await eventually { bench.receipts.contains(.running, version: "v2") }
        }
    }

    @Test func `without server and last known good it waits for the server`() async throws {
        try await AgentBench.with(["pool.size": "8"], serverIsDown: true, port: freePort()) { configuration, folder in
            configuration.command = Self.script(folder)
            try? FileManager.default.createDirectory(atPath: folder + "/cache", withIntermediateDirectories: true)
        } _: { bench in
            try await TestHTTPServer.with(bench.canned, port: bench.server.port) { _ in
                try await eventually { bench.read("log") == "started 8 \n" }
            }
        }
    }

    @Test func `what the server refuses ends the agent with the reason`() async throws {
        let canned = CannedConfiguration([:])
        canned.set(status: 401)
        try await AgentBench.with([:], canned: canned) { configuration, folder in
            configuration.command = Self.script(folder)
        } _: { bench in
            try await eventually { bench.ended.isOver }
            #expect((bench.ended.error as? ConfigError)?.code == .refused)
            #expect(bench.read("log") == nil)
        }
    }

    @Test func `a command that is killed is started again, one that cannot be started is an end with 127`() async throws {
        try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
            configuration.command = Self.script(folder, "echo $$ >\(folder)/pid;")
            configuration.restartPause = .milliseconds(50)
        } _: { bench in
            try await eventually { bench.read("log") == "started 8 \n" }
            let process = try #require(bench.read("pid").flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
            kill(process, SIGKILL)
            try await eventually { bench.read("log") == "started 8 \nstarted 8 \n" }
        }
        try await AgentBench.with([:]) { configuration, _ in
            configuration.command = ["/no/such/program"]
        } _: { bench in
            try await eventually { bench.ended.isOver }
            #expect(bench.agent.exitCode == 127)
            #expect(bench.ended.error == nil)
        }
    }

    @Test func `shutdown ends the command and its children, by force when they do not listen`() async throws {
        try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
            configuration.command = [
                "/bin/sh", "-c",
                "trap '' TERM; sleep 1000 & echo $! >\(folder)/child; echo started >\(folder)/log; while :; do sleep 0.05; done",
            ]
            configuration.stopLimit = .milliseconds(200)
        } _: { bench in
            try await eventually { bench.read("log") == "started\n" }
            let child = try #require(bench.read("child").flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
            bench.shutdown.request()
            try await eventually { bench.ended.isOver }
            #expect(bench.agent.exitCode == 128 + SIGKILL)
            try await eventually("the child is gone") {
                let status = FileManager.default.contents(atPath: "/proc/\(child)/stat").map { String(decoding: $0, as: UTF8.self) }
                return status == nil || status?.contains(") Z ") == true
            }
        }
    }

    @Test func `signals to the agent reach the command`() async throws {
        // In a process of its own: the signal would reach the agents of all tests that run beside this one.
        await #expect(processExitsWith: .exitCode(3)) {
            let code = try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
                configuration.command = [
                    "/bin/sh", "-c",
                    "trap 'echo usr2 >>\(folder)/log; exit 3' USR2; echo started >>\(folder)/log; while :; do sleep 0.05; done",
                ]
                configuration.change = .rewrite
            } _: { bench in
                try await eventually { bench.read("log") == "started\n" }
                kill(getpid(), SIGUSR2)
                try await eventually { bench.ended.isOver }
                return bench.read("log") == "started\nusr2\n" ? bench.agent.exitCode : 99
            }
            exit(code)
        }
    }

    @Test func `once means: write the files and end`() async throws {
        try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
            configuration.runsOnce = true
            configuration.files = [RenderedFile(.environment, path: folder + "/env")]
        } _: { bench in
            try await eventually { bench.ended.isOver }
            #expect(bench.ended.error == nil && bench.agent.exitCode == 0)
            #expect(bench.read("env") == "POOL_SIZE=8\n")
        }
    }

    @Test func `the whole configuration is written as one file of each format`() async throws {
        try await AgentBench.with(["pool.size": "8", "hosts[0]": "a=b", "url": "x/${pool.size}"]) { configuration, folder in
            configuration.runsOnce = true
            configuration.files = ["c.properties", "c.yml", "c.json"].compactMap { RenderedFile(configurationAt: "\(folder)/\($0)") }
        } _: { bench in
            try await eventually { bench.ended.isOver }
            #expect(bench.ended.error == nil)
            #expect(bench.read("c.properties") == "hosts[0]=a=b\npool.size=8\nurl=x/8\n")
            #expect(bench.read("c.yml")?.contains("hosts:\n- a=b\n") == true)
            #expect(bench.read("c.yml")?.contains("url: x/8\n") == true)
            #expect(bench.read("c.json")?.contains("\"url\":\"x/8\"") == true)
        }
        #expect(RenderedFile(configurationAt: "c.toml") == nil)
    }

    @Test func `it answers as a configuration server does, for its own configuration only, also when it is stale`() async throws {
        try await AgentBench.with(["pool.size": "8"]) { configuration, folder in
            configuration.client.profiles = ["dev", "eu"]
            configuration.client.label = "feature/x"
            configuration.files = [RenderedFile(.environment, path: folder + "/env")]
        } _: { bench in
            let routes = bench.agent.localRoutes
            func get(_ target: String, _ headers: HTTPHeaders = [:]) async throws -> HTTPResponse {
                await routes.respond(to: try #require(HTTPRequest("GET", target, headers: headers)))
            }
            try await eventually { try await get("/health/ready").status == 200 }
            let plain = try await get("/orders/dev,eu")
            #expect(plain.text?.contains(#""pool.size":"8""#) == true)
            #expect(plain.headers["X-Config-Version"] == "v1" && plain.headers["X-Config-Stale"] == nil)
            let second = try await get("/orders/dev,eu/feature(_)x", ["Accept": "application/vnd.spring-cloud.config-server.v2+json"])
            #expect(second.text?.contains(#""pool.size":{"value":"8","origin":"1:3"}"#) == true)
            let tag = try #require(plain.headers["ETag"])
            #expect(try await get("/orders/dev,eu", ["If-None-Match": tag]).status == 304)
            #expect(try await get("/orders-dev,eu.yml").text == "pool:\n  size: '8'\n")
            #expect(try await get("/feature(_)x/orders-dev,eu.properties").text == "pool.size: 8")
            #expect(try await get("/orders-dev,eu.json").text == #"{"pool":{"size":"8"}}"#)
            for other in [
                "/orders/prod", "/other/dev,eu", "/orders/dev,eu/main", "/orders-dev,eu.toml", "/", "/a/b/c/d", "/x/orders-dev,eu.yml",
            ] {
                #expect(try await get(other).status == 404, "\(other)")
            }
            bench.canned.set(status: 503)
            try await bench.publisher.refresh("orders", details: RefreshDetails(version: "v2"))
            try await eventually { bench.receipts.all.contains { $0.outcome == .failed } }
            #expect(try await get("/orders/dev,eu").headers["X-Config-Stale"] != nil)
        }
    }

    @Test(arguments: [
        ("t:o", RenderedFile(.template(path: "t"), path: "o")), ("t:o:0644", RenderedFile(.template(path: "t"), path: "o", mode: 0o644)),
        ("t", nil),
        (":o", nil), ("t:", nil), ("t:o:9", nil), ("t:o:7777", nil), ("a:b:c:d", nil),
    ])
    func `a template is named with its output and mode`(_ argument: String, _ expected: RenderedFile?) {
        #expect(RenderedFile(argument: argument) == expected)
    }
}
