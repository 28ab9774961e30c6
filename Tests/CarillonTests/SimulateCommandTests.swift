import Foundation
import TestSupport
import Testing

/// `simulate` as a user calls it.
@Suite(.timeLimit(.minutes(5))) struct SimulateCommandTests {
    private static let settings = """
        server: {port: 1234}
        scaling:
          poll: 15s
          policies:
            orders:
              min: 1
              max: 40
              conditions:
                - queue: {destination: orders, group: workers, wait: 60s}
              instance: {rate: 10, start: 30s}
              target: {local: {command: [./worker]}}
            tight:
              max: 2
              conditions:
                - queue: {destination: orders, group: workers, wait: 60s}
              instance: {rate: 10, start: 30s}
        """

    /// 50 a second for half an hour; for five minutes of it the source does not answer.
    private static var history: String {
        "time,published\n"
            + (0...30).map { minute in "\(minute * 60),\((10..<15).contains(minute) ? "" : String(minute * 3000))\n" }.joined()
    }

    private func withFiles<R>(_ body: (TemporaryFolder) async throws -> R) async throws -> R {
        try await TemporaryFolder.with { folder in
            try folder.write("carillon.yaml", Self.settings)
            try folder.write("history.csv", Self.history)
            return try await body(folder)
        }
    }

    @Test func `a policy is played against a history, beside another, with a chart`() async throws {
        try await withFiles { folder in
            let (code, output, errors) = try await Running.run([
                "simulate", "--policy", folder.path + "/carillon.yaml#orders", "--history", folder.path + "/history.csv", "--against",
                folder.path + "/carillon.yaml#tight", "--svg", folder.path + "/chart.svg",
            ])
            #expect(code == 0, "\(errors)")
            for word in ["instances", "backlog", "█", "COST", "orders", "tight", "90000"] { #expect(output.contains(word), "\(word)") }
            let drawing = try String(contentsOfFile: folder.path + "/chart.svg", encoding: .utf8)
            #expect(drawing.hasPrefix("<svg "))
            #expect(drawing.contains("instances"))
        }
    }

    @Test func `programs get every decision and the summaries`() async throws {
        try await withFiles { folder in
            let (code, output, _) = try await Running.run([
                "simulate", "--policy", folder.path + "/carillon.yaml#tight", "--history", folder.path + "/history.csv", "--against",
                folder.path + "/carillon.yaml#orders", "--json",
            ])
            #expect(code == 0)
            let report = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
            #expect(report["policy"] as? String == "tight")
            let summary = try #require(report["summary"] as? [String: Any])
            #expect(summary["messages"] as? Int == 90000)
            #expect(summary["feasible"] as? Bool == false)
            #expect((summary["advice"] as? [String: Any])?["max"] as? Int ?? 0 >= 5)
            #expect(try #require(summary["late"] as? Double) > 0.5)
            let other = try #require((report["against"] as? [String: Any])?["summary"] as? [String: Any])
            #expect(try #require(other["late"] as? Double) < 0.01)
            #expect(other["feasible"] as? Bool == true)
            let steps = try #require(report["steps"] as? [[String: Any]])
            // One decision each 15 s from 0 to 1800 s; while the source was away the count is held.
            #expect(steps.count == 121)
            #expect(steps.map { $0["time"] as? Int } == (0...120).map { $0 * 15 })
            #expect(steps[40...59].allSatisfy { $0["outcome"] as? String == "hold" })
        }
    }

    @Test func `what instances really do may differ from what the policy believes`() async throws {
        try await withFiles { folder in
            func cost(_ more: [String]) async throws -> Double {
                let (_, output, _) = try await Running.run(
                    ["simulate", "--policy", folder.path + "/carillon.yaml#orders", "--history", folder.path + "/history.csv", "--json"]
                        + more)
                let report = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
                return try #require((report?["summary"] as? [String: Any])?["instanceSeconds"] as? Double)
            }
            let believed = try await cost([])
            let slower = try await cost(["--rate", "5", "--start", "60s"])
            #expect(slower > 1.3 * believed)
        }
    }

    @Test(arguments: [
        (["--policy", "carillon.yaml", "--history", "history.csv"], "has several policies"),
        (["--policy", "carillon.yaml#ordres", "--history", "history.csv"], "did you mean `orders`?"),
        (["--policy", "carillon.yaml#orders"], "--history"), (["--policy", "nowhere.yaml", "--history", "history.csv"], "nowhere.yaml"),
        (["--policy", "carillon.yaml#orders", "--history", "nowhere.csv"], "nowhere.csv"),
        (["--policy", "carillon.yaml#orders", "--history", "bad.csv"], "bad.csv:3: time `5` is not behind"),
        (["--policy", "carillon.yaml#orders", "--history", "history.csv", "--rate", "none"], "--rate"),
        (
            ["--policy", "bad.yaml", "--history", "history.csv"],
            "bad.yaml:4: unknown setting `scaling.policies.a.maxx`; did you mean `scaling.policies.a.max`?"
        ),
        (["--table", "--rate", "5"], "leave out `--rate`"),
    ])
    func `a wrong call is told where and why, with exit code 2`(arguments: [String], says: String) async throws {
        try await withFiles { folder in
            try folder.write("bad.csv", "time,published\n9,0\n5,1\n")
            try folder.write(
                "bad.yaml",
                "scaling:\n  policies:\n    a:\n      maxx: 3\n      max: 3\n      instance: {rate: 1}\n      conditions: [{queue: {wait: 60s}}]\n"
            )
            let called = arguments.map { $0.contains(".") && !$0.hasPrefix("-") ? folder.path + "/" + $0 : $0 }
            let (code, output, errors) = try await Running.run(["simulate"] + called)
            #expect(code == 2)
            #expect(output == "")
            #expect(errors.contains(says), "\(errors)")
        }
    }

    @Test func `the table compares the laws for people and for programs`() async throws {
        let (code, output, _) = try await Running.run(["simulate", "--table", "--json"], within: .seconds(240))
        #expect(code == 0)
        let cells = try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]])
        #expect(cells.count == 25)
        #expect(Set(cells.compactMap { $0["workload"] as? String }) == ["diurnal", "step", "burst", "on/off", "dump"])
        for cell in cells where cell["law"] as? String == "drain" && ["diurnal", "step"].contains(cell["workload"] as? String) {
            #expect(try #require(cell["cost"] as? Double) <= 1.4)
            #expect(try #require(cell["late"] as? Double) < 0.01)
        }
    }
}
