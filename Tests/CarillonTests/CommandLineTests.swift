import Foundation
import TestSupport
import Testing

/// The program called as a user calls it, rightly and wrongly.
@Suite(.timeLimit(.minutes(2))) struct CommandLineTests {
    @Test func `without a command it shows its commands`() async throws {
        let (code, output, _) = try await Running.run([])
        #expect(code == 0)
        for command in ["serve", "agent", "get", "refresh", "publish", "subscribe", "status", "dlq", "simulate", "conform"] {
            #expect(output.contains("  \(command) "), "\(command)")
        }
    }

    @Test(arguments: ["serve", "agent", "get", "refresh", "publish", "subscribe", "status", "dlq", "simulate", "conform"])
    func `every command has help with an example`(command: String) async throws {
        let (code, output, errors) = try await Running.run([command, "--help"])
        #expect(code == 0)
        #expect(output.contains("Usage: carillon \(command)"))
        #expect(output.contains("Examples:"))
        #expect(errors == "")
    }

    @Test(arguments: [
        (["sreve"], "did you mean `serve`?"), (["serve", "--prot", "1"], "did you mean `--port`?"),
        (["serve", "--port", "many"], "whole number"),
        (["get"], "needs APP"), (["get", "a", "--format", "ini"], "properties, yaml, json"), (["status", "--wait", "soon"], "30s"),
        (["get", "a", "--server", "nowhere"], "is no URL"), (["serve", "--config", "/nowhere/carillon.yaml"], "/nowhere/carillon.yaml"),
        (["serve", "--binder", "ftp://x", "--port", "0"], "amqp://"), (["publish", "a/b"], "/"),
        (["serve", "--spring-config", "/nowhere.yml"], "/nowhere.yml"), (["dlq"], "needs ACTION"),
        (["dlq", "lsit"], "list, show, replay, drop"), (["dlq", "list", "d"], "--group"), (["dlq", "show", "d", "--group", "g"], "--id"),
        (["dlq", "drop", "d", "--group", "g"], "--all"), (["dlq", "drop", "d", "--group", "g", "--all"], "--yes"),
        (["dlq", "list", "d", "--group", "g", "--since", "soon"], "2h"),
        (["dlq", "replay", "d", "--group", "g", "--all", "--id", "7"], "exclude each other"),
    ])
    func `a wrong call says what is wrong on standard error, and nothing else`(arguments: [String], says: String) async throws {
        try await TemporaryFolder.with { folder in
            try folder.write("config/application.yml", "a: b\n")
            let (code, output, errors) = try await Running.run(
                arguments, environment: ["XDG_STATE_HOME": folder.path], within: .seconds(20))
            #expect(code == 2 || code == 1)
            #expect(output == "")
            #expect(errors.contains(says), "\(errors)")
            #expect(!errors.contains("Fatal error"))
        }
    }

    @Test(arguments: [["get", "a"], ["refresh"], ["status"], ["dlq", "list"], ["publish", "news"], ["scale", "list"]])
    func `a server that is not there is named, with the remedy`(arguments: [String]) async throws {
        let (code, output, errors) = try await Running.run(arguments + ["--server", "http://127.0.0.1:1"], input: "an event\n")
        #expect(code == 1)
        #expect(output == "")
        #expect(errors.hasPrefix("carillon: nobody listens at http://127.0.0.1:1/"), "\(errors)")
        #expect(errors.contains("(--server URL or $CARILLON_SERVER names another)"))
        #expect(!errors.contains("Failure("))
    }

    @Test func `an unknown setting stops the start and names the nearest known one`() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write("carillon.yaml", "server:\n  prot: 1\n")
            let (code, _, errors) = try await Running.run(["serve", "--config", folder.path + "/carillon.yaml"])
            #expect(code == 2)
            #expect(errors.contains("carillon.yaml:2: unknown setting `server.prot`; did you mean `server.port`?"), "\(errors)")
        }
    }

    @Test func `the settings in force are shown with where they come from and without secrets`() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write("carillon.yaml", "server: {port: 1234}\nbinder: amqp://user:pa55word@host/\n")
            let (code, output, _) = try await Running.run(
                ["serve", "--config", folder.path + "/carillon.yaml", "--print-config"],
                environment: ["CARILLON_SERVER_ADDRESS": "127.0.0.2"])
            #expect(code == 0)
            #expect(output.contains("server.port: 1234"))
            #expect(output.contains("server.address: 127.0.0.2  # $CARILLON_SERVER_ADDRESS"))
            #expect(!output.contains("pa55word"))
        }
    }

    @Test func `completion is a script that bash takes`() async throws {
        let (code, output, _) = try await Running.run(["completion"])
        #expect(code == 0)
        let bash = SpawnedProcess()
        bash.executableURL = URL(fileURLWithPath: "/bin/bash")
        bash.arguments = ["-n", "-c", output]
        try bash.run()
        bash.waitUntilExit()
        #expect(bash.terminationStatus == 0)
    }
}
