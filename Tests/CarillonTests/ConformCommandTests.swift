import Foundation
import HTTP
import Testing
import TestSupport

/// `conform` as a user runs it.
@Suite(.timeLimit(.minutes(3))) struct ConformCommandTests {
    private struct Report: Decodable {
        struct Case: Decodable {
            var id: String
            var result: String
            var found: String?
            var without: [String]?
        }
        var binder: String
        var capabilities: [String]
        var passed: Int
        var failed: Int
        var skipped: Int
        var cases: [Case]
    }

    @Test func `the embedded broker passes, and the table says so`() async throws {
        let (code, output, errors) = try await Running.run(["conform", "--binder", "local:"], within: .seconds(120))
        #expect(code == 0)
        let lines = output.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("A1   passed "))
        #expect(lines.contains { $0.hasPrefix("D3   skipped ") && $0.hasSuffix("— without nativePartitions") })
        #expect(lines.contains { $0.hasPrefix("capabilities  durableGroups broadcast") })
        #expect(lines.last?.hasPrefix("local binder: ") == true && lines.last?.contains(" 0 failed") == true, "\(output.suffix(300))")
        #expect(errors.split(separator: "\n").count == BinderCases.all.count)  // a line for each case while it runs
    }

    @Test func `a durable broker is tried in a folder of its own, which is gone afterwards`() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write("data/mine", "")
            let (code, output, _) = try await Running.run(["conform", "--binder", "local:\(folder.path)/data", "--only", "A1,F2,G4"])
            #expect(code == 0, "\(output)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/data") == ["mine"])
        }
    }

    @Test func `another Carillon passes over its event channels, with JSON for programs`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try folder.commit(in: "config", ["application.yml": "a: b\n"])
            try await PropagationTests.withServer(folder) { _, url in
                // Small cases: the whole suite over HTTP, large payloads too, is the binder's own test.
                let arguments = ["conform", "--binder", url, "--only", "A2,A3,B1,C4,E2,E3,G1,I,D3", "--json"]
                let (code, output, errors) = try await Running.run(arguments, within: .seconds(120))
                #expect(code == 0, "\(output)")
                #expect(errors == "")
                let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
                #expect(report.cases.map(\.id) == ["A2", "A3", "B1", "C4", "D3", "E2", "E3", "G1", "I1", "I2", "I3", "I4"])
                #expect(report.passed == 11 && report.failed == 0 && report.skipped == 1)
                #expect(report.cases[4].without == ["nativePartitions"])
                #expect(report.capabilities.contains("remote"))
            }
        }
    }

    @Test func `a case that fails is shown with what was found, and the exit code tells`() async throws {
        // A server that is no Carillon: it answers, and takes nothing.
        var router = Router()
        router.add("HEAD", "/channels/{name}") { _, _ in HTTPResponse(200) }
        try await TestHTTPServer.with(router) { server in
            let (code, output, _) = try await Running.run(["conform", "--binder", server.url, "--only", "A1,D4"])
            #expect(code == 1)
            #expect(output.contains("A1   FAILED "), "\(output)")
            #expect(output.contains("404"), "\(output)")
            #expect(output.contains("D4   passed "))
            #expect(output.contains("http binder: 1 passed, 1 failed, 0 skipped"))
        }
    }

    @Test func `the list tells every case and what it needs`() async throws {
        let (code, output, _) = try await Running.run(["conform", "--list"])
        #expect(code == 0)
        #expect(output.split(separator: "\n").count == BinderCases.all.count)
        #expect(output.contains("E1   of 10,000 events"))
        #expect(output.contains("needs restartable, remote"))
    }

    @Test(arguments: [
        (["conform"], "--binder", Int32(2)), (["conform", "--binder", "ftp://x"], "amqp://", 2),
        (["conform", "--binder", "local:", "--only", "A1,Z9"], "`Z9`", 2),
        (
            ["conform", "--binder", "amqp://guest:s3cret@127.0.0.1:1/"],
            "127.0.0.1:1: a socket error occurred; start that broker or correct its address (--binder)", 1
        ),
    ])
    func `what cannot be tried is said on standard error, without secrets`(arguments: [String], says: String, exit: Int32) async throws {
        let (code, output, errors) = try await Running.run(arguments)
        #expect(code == exit)
        #expect(output == "")
        #expect(errors.contains(says), "\(errors)")
        #expect(!errors.contains("s3cret"))
    }

    @Test func `an interruption ends it soon`() async throws {
        try await Running.with(["conform", "--binder", "local:"]) { running in
            try await eventually { running.errors.contains("1/") }
            running.send(SIGINT)
            let code = try await running.ended(within: .seconds(30))
            #expect(code == 1)
            #expect(running.errors.contains("interrupted"))
        }
    }
}
