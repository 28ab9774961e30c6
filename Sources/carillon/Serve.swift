import Foundation
import Lifecycle
import Options
import Roles
import Settings
import Telemetry

/// `carillon serve`: the server.
enum Serve: Verb {
    static let command = Command(
        "serve", summary: "Serves configuration, the bus, and event channels.",
        explanation: """
            With nothing configured it serves the folder ./config, or the Git repository there, on 127.0.0.1:8888, with the embedded broker.
            Settings come from carillon.yaml (or --config), from the environment (server.port is CARILLON_SERVER_PORT), and from the options here.
            """,
        options: [
            .init("config", value: "FILE", "settings; ./carillon.yaml where there is one"),
            .init("spring-config", value: "FILE", "take the original Spring Cloud Config server's application.yml or .properties"),
            .init("address", value: "ADDRESS", "listen here; 127.0.0.1 unless given. Elsewhere, changes ask for a token"),
            .init("port", value: "PORT", "listen on this port; 8888 unless given, 0 takes a free one"),
            .init("data", value: "DIR", "keep here what must survive: embedded log, mirrors"),
            .init("binder", value: "URI", "the broker: \(Broker.uris); embedded unless given"),
            .init("bridge", value: "URI", "join the bus of this broker, too: what is published on one reaches the instances on both"),
            .init("log", value: "LEVEL", "debug, info, warning or error"),
            .init("print-config", "show the settings in force and where each comes from, secrets hidden, and end"),
        ],
        examples: [
            "carillon serve", "carillon serve --config carillon.yaml --port 9000",
            "carillon serve --binder amqp://guest:guest@localhost:5672/",
            "carillon serve --binder amqp://guest:guest@old:5672/ --bridge redis://new:6379/0",
            "carillon serve --spring-config application.yml",
        ])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        var overrides: [String: String] = [:]
        for (option, key) in [
            ("address", "server.address"), ("port", "server.port"), ("data", "data"), ("binder", "binder"), ("bridge", "bus.bridge"),
            ("log", "log.level"),
        ] {
            if let value = invocation.value(option) { overrides[key] = value }
        }
        if invocation.has("config"), invocation.has("spring-config") {
            throw Failure("`--config` and `--spring-config` exclude each other", code: 2)
        }
        let plan: ServerPlan
        do throws(SettingsError) {
            plan =
                if let file = invocation.value("spring-config") {
                    try ServerPlan(springFile: file, commandLine: overrides)
                } else {
                    try ServerPlan(file: invocation.value("config"), commandLine: overrides)
                }
        } catch {
            throw Failure(error.message, code: 2)
        }
        if invocation.has("print-config") {
            terminal.print(plan.settings.effective, end: "")
            return 0
        }
        let log = Log(part: "carillon", minimum: Log.Level.allCases.first { $0.name == plan.settings.log.rawValue } ?? .info)
        let role = try plan.role(log: log)
        try await ServiceGroup(name: "carillon", [role], shutdownLimit: role.endLimit, log: log).runUntilSignal()
        log.info("ended")
        return 0
    }
}
