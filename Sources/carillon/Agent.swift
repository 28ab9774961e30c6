import Bus
import BusEndpoints
import ConfigAgent
import ConfigClient
import Foundation
import HTTP
import HTTPServer
import Identity
import Lifecycle
import Options
import Roles
import Streams
import Telemetry

/// `carillon agent`: a process with its configuration.
enum Agent: Verb {
    static let command = Command(
        "agent", summary: "Runs a command with its configuration, and applies changes.",
        explanation: """
            Every key becomes a variable of the command's environment (pool.size is POOL_SIZE) and can be written into files. When the server tells of
            a change, the agent fetches it, checks it, takes it over as --on-change says, and answers with a receipt that `carillon status` shows.
            A variable that the agent itself has keeps its value. With the server down, the last known good configuration is used. Signals go on to the command; the exit code is the command's.
            """,
        options: [
            .init("app", value: "NAME", "the application, or several with commas, the first naming the instance"),
            .init("profile", value: "NAMES", "profiles with commas; `default` unless given"),
            .init("label", value: "LABEL", "branch, tag or commit; the server's default unless given"),
            .init("instance", value: "NAME", "the last part of the bus id; random unless given"),
            .init("on-change", value: "HOW", "restart (default), signal:NAME (such as signal:HUP), or rewrite (files only)"),
            .init(
                "template", value: "T:OUT", "write OUT from template T, ${key:default} being replaced; T:OUT:MODE sets the mode",
                repeats: true),
            .init("env-file", value: "OUT", "write every key as a variable to OUT", repeats: true),
            .init(
                "config-file", value: "OUT", "write the whole configuration to OUT, as its ending says: yml, json, properties",
                repeats: true),
            .init(
                "listen", value: "PORT",
                "serve the same configuration and the bus's routes on 127.0.0.1:PORT, for programs that ask a server"),
            .init("no-environment", "do not put the keys into the command's environment"),
            .init("check", value: "COMMAND", "run `sh -c COMMAND` with the new files before they count; only exit code 0 lets a change in"),
            .init("cache", value: "DIR", "keep the last known good here; the user's state folder unless given"),
            .init("poll", value: "TIME", "ask the server this often without an event; 60s unless given, 0 never"),
            .init(
                "spread", value: "TIME",
                "wait a random time up to this before a refetch, so that a fleet does not ask at once; 200ms unless given"),
            .init("stop-limit", value: "TIME", "how long the command may take to end after SIGTERM; 10s unless given"),
            .init("once", "write the files and end; without a command"),
            .init("log", value: "LEVEL", "debug, info, warning or error"),
        ] + Broker.options, trailing: "COMMAND …",
        examples: [
            "carillon agent --app orders --profile prod -- ./orders",
            "carillon agent --app proxy --template proxy.conf.in:proxy.conf --on-change signal:HUP -- proxy -c proxy.conf",
            "carillon agent --app job --template job.ini.in:job.ini --once",
        ])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        guard let applications = invocation.value("app"), !applications.isEmpty else { throw Failure("`agent` needs --app NAME", code: 2) }
        let server = try Server(invocation)
        let level = invocation.value("log") ?? "info"
        guard let minimum = Log.Level.allCases.first(where: { $0.name == level }) else {
            throw Failure("`--log \(level)` is none of debug, info, warning, error", code: 2)
        }
        let log = Log(part: "agent", minimum: minimum)
        let configuration = try configuration(invocation, server, applications)
        let names = applications.split(separator: ",").map(String.init)
        let profiles = configuration.client.profiles.filter { $0 != "default" }
        let binder = try Broker.binder(invocation, log: log)
        var busConfiguration = EventBus.Configuration()
        busConfiguration.configurationNames = names
        let bus = EventBus(
            id: try BusID(
                application: names[0], profiles: profiles, index: "0", instance: invocation.value("instance") ?? BusID.randomInstance()),
            binder: binder, configuration: busConfiguration, log: log.of("bus"))
        let agent: ConfigAgent.Agent
        do {
            agent = try ConfigAgent.Agent(configuration, bus: configuration.runsOnce ? nil : bus, log: log)
        } catch {
            throw Failure("\(error)", code: 2)
        }
        var services: [any Service] = configuration.runsOnce ? [agent] : [binder, bus]
        if !configuration.runsOnce {
            if let port = try invocation.number("listen", in: 0...65535) {
                // Whoever takes a refresh passes it on to all: an agent as well as a server.
                var router = agent.localRoutes
                router.add(middleware: AccessPolicy(isLoopback: true).middleware)
                router.add(BusRoutes(bus: bus).router)
                services.append(HTTPServer(configuration: HTTPServerConfiguration(port: port), handler: router, log: log.of("http")))
            }
            services.append(agent)
        }
        try await ServiceGroup(name: "agent", services).runUntilSignal()
        return agent.exitCode
    }

    private static func configuration(_ invocation: Invocation, _ server: Server, _ applications: String) throws -> AgentConfiguration {
        var client = ConfigClientSettings(servers: [server.url], application: applications)
        if let profiles = invocation.value("profile") { client.profiles = profiles.split(separator: ",").map(String.init) }
        client.label = invocation.value("label")
        client.token = server.token
        client.tls.authorityFile = server.authorityFile
        client.cacheFolder = try invocation.value("cache") ?? StateFolder.prepare(nil) + "/agent"
        client.pollInterval = try invocation.duration("poll") ?? .seconds(60)
        client.spread = try invocation.duration("spread") ?? .milliseconds(200)

        var configuration = AgentConfiguration(client: client, command: invocation.trailing)
        for text in invocation.all("template") {
            guard let file = RenderedFile(argument: text) else {
                throw Failure("`--template \(text)` is no TEMPLATE:OUT or TEMPLATE:OUT:MODE", code: 2)
            }
            configuration.files.append(file)
        }
        configuration.files += invocation.all("env-file").map { RenderedFile(.environment, path: $0) }
        for path in invocation.all("config-file") {
            guard let file = RenderedFile(configurationAt: path) else {
                throw Failure("`--config-file \(path)` ends in none of yml, yaml, json, properties", code: 2)
            }
            configuration.files.append(file)
        }
        configuration.passesEnvironment = !invocation.has("no-environment")
        configuration.change = try change(invocation.value("on-change") ?? "restart")
        configuration.check = invocation.value("check")
        configuration.stopLimit = try invocation.duration("stop-limit") ?? configuration.stopLimit
        configuration.runsOnce = invocation.has("once")
        if configuration.command.isEmpty, configuration.files.isEmpty {
            throw Failure("nothing to do: name a command behind `--`, or a file with --template, --config-file or --env-file", code: 2)
        }
        if configuration.runsOnce, !configuration.command.isEmpty { throw Failure("`--once` is for files without a command", code: 2) }
        return configuration
    }

    private static func change(_ text: String) throws -> ChangeMode {
        switch text {
        case "restart": return .restart
        case "rewrite": return .rewrite
        default:
            let signals: [String: Int32] = [
                "HUP": SIGHUP, "USR1": SIGUSR1, "USR2": SIGUSR2, "INT": SIGINT, "TERM": SIGTERM, "QUIT": SIGQUIT,
            ]
            guard text.hasPrefix("signal:"), let signal = signals[text.dropFirst(7).uppercased().replacing("SIG", with: "")] else {
                throw Failure(
                    "`--on-change \(text)` is none of restart, rewrite, signal:\(signals.keys.sorted().joined(separator: ", signal:"))",
                    code: 2)
            }
            return .signal(signal)
        }
    }
}
