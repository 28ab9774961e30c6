import Foundation
import Testing
import TestSupport

/// `publish` and `subscribe` against a running server.
@Suite(.timeLimit(.minutes(2))) struct EventCommandTests {
    private func withServer<R>(_ body: (TemporaryFolder, String) async throws -> R) async throws -> R {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["application.yml": "a: b\n"])
            return try await PropagationTests.withServer(folder) { _, url in try await body(folder, url) }
        }
    }

    @Test func `every subscriber without a group prints every line, in order`() async throws {
        try await withServer { _, url in
            try await Running.with(["subscribe", "news", "--server", url, "--from", "earliest"]) { one in
                try await Running.with(["subscribe", "news", "--server", url, "--from", "earliest", "--json"]) { two in
                    let published = try await Running.run(
                        ["publish", "news", "--server", url, "--header", "kind=test", "--key", "k"], input: "a\n\nb \"quoted\"\nlast")
                    #expect(published.code == 0, "\(published)")
                    try await eventually { one.output == "a\n\nb \"quoted\"\nlast\n" }
                    try await eventually { two.output.split(separator: "\n").count == 4 }
                    let object = try #require(
                        try JSONSerialization.jsonObject(with: Data(two.output.split(separator: "\n")[2].utf8)) as? [String: Any])
                    #expect(object["payload"] as? String == "b \"quoted\"")
                    #expect((object["headers"] as? [String: String])?["kind"] == "test")
                    #expect(object["key"] as? String == "k")
                }
            }
        }
    }

    @Test func `a command that fails gets its event again, one that is done never`() async throws {
        try await withServer { folder, url in
            // Fails at the first attempt of each event.
            let script = "read line; if [ \"$CARILLON_EVENT_ATTEMPT\" = 1 ]; then exit 3; fi; echo \"$line\" >>\(folder.path)/done"
            try await Running.with(["subscribe", "jobs", "--group", "g", "--server", url, "--exec", script]) { subscriber in
                try await eventually {
                    let result = try await Running.run(["publish", "jobs", "--server", url], input: "probe\n")
                    #expect(result.code == 0)
                    return FileManager.default.fileExists(atPath: folder.path + "/done")
                }
                _ = try await Running.run(["publish", "jobs", "--server", url], input: "one\ntwo\n")
                try await eventually(within: .seconds(30)) {
                    let lines = try String(contentsOfFile: folder.path + "/done", encoding: .utf8).split(separator: "\n")
                    return lines.contains("one") && lines.contains("two")
                }
                let lines = try String(contentsOfFile: folder.path + "/done", encoding: .utf8).split(separator: "\n")
                #expect(lines.filter { $0 == "one" }.count == 1)
                #expect(subscriber.isRunning)
            }
        }
    }

    @Test func `a command of a subscriber has the signals that a shell's command has`() async throws {
        try await withServer { folder, url in
            let script = "grep SigIgn /proc/self/status >\(folder.path)/ignored"
            let arguments = ["subscribe", "jobs", "--group", "g", "--from", "earliest", "--count", "1", "--server", url, "--exec", script]
            try await Running.with(arguments) { subscriber in
                _ = try await Running.run(["publish", "jobs", "--server", url], input: "one\n")
                #expect(try await subscriber.ended() == 0)
                let mask = try String(contentsOfFile: folder.path + "/ignored", encoding: .utf8).split(whereSeparator: \.isWhitespace).last
                let ignored = UInt64(mask ?? "", radix: 16) ?? .max
                #expect(ignored & (1 << UInt64(SIGPIPE - 1)) == 0)
            }
        }
    }

    @Test func `on SIGTERM the event in hand is ended, then it leaves`() async throws {
        try await withServer { folder, url in
            let script =
                "read line; touch \(folder.path)/begun; while [ ! -e \(folder.path)/go ]; do sleep 0.05; done; echo $line >>\(folder.path)/done"
            try await Running.with(["subscribe", "jobs", "--group", "g", "--from", "earliest", "--server", url, "--exec", script]) {
                subscriber in
                _ = try await Running.run(["publish", "jobs", "--server", url], input: "one\ntwo\n")
                try await eventually { FileManager.default.fileExists(atPath: folder.path + "/begun") }
                subscriber.send(SIGTERM)
                try folder.write("go", "")
                #expect(try await subscriber.ended() == 0)
                #expect(try String(contentsOfFile: folder.path + "/done", encoding: .utf8) == "one\n")
            }
            // The event that was ended is done; the other is there for the next.
            try await Running.with(["subscribe", "jobs", "--group", "g", "--server", url, "--count", "1"]) { next in
                try await next.ended()
                #expect(next.output == "two\n")
            }
        }
    }
}
