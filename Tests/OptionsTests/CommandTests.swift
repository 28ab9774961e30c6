import Options
import Testing

@Suite struct CommandTests {
    let command = Command(
        "agent", summary: "Runs a command with its configuration.",
        arguments: [.init("NAME", "who")],
        options: [
            .init("server", value: "URL", "where the server is", environment: "CARILLON_SERVER"),
            .init("template", value: "T:OUT", "a file to render", repeats: true),
            .init("json", "for programs"),
        ], trailing: "command …")

    @Test func `options come with a blank or an equals sign, flags without a value, the rest are arguments`() throws {
        let read = try command.parse([
            "--server", "http://a", "orders", "--template=x:y", "--json", "--template", "p:q", "--", "sh", "--server",
        ])
        #expect(read.value("server") == "http://a")
        #expect(read.all("template") == ["x:y", "p:q"])
        #expect(read.has("json"))
        #expect(read.arguments == ["orders"])
        #expect(read.trailing == ["sh", "--server"])
    }

    @Test func `the environment stands in for an option that is not given, and only then`() throws {
        #expect(try command.parse(["a"], environment: ["CARILLON_SERVER": "http://e"]).value("server") == "http://e")
        #expect(
            try command.parse(["a", "--server", "http://o"], environment: ["CARILLON_SERVER": "http://e"]).value("server") == "http://o")
        #expect(try command.parse(["a"], environment: ["CARILLON_SERVER": ""]).value("server") == nil)
    }

    @Test(arguments: [
        (["--sever", "x", "a"], "did you mean `--server`?"),
        (["--server"], "`--server` needs a value"),
        (["--json=1", "a"], "takes no value"),
        (["--server", "a", "--server", "b", "n"], "given twice"),
        ([], "needs NAME"),
        (["a", "b"], "does not take `b`"),
        (["-x", "a"], "unknown option `-x`"),
    ])
    func `a wrong line is refused with what is wrong`(words: [String], says: String) {
        let error = #expect(throws: OptionsError.self) { try command.parse(words) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test func `help names every argument and option and where else a value comes from`() {
        let help = command.help(of: "carillon")
        for part in [
            "carillon agent NAME [options] [-- command …]", "--server URL", "$CARILLON_SERVER", "--template T:OUT", "repeatable", "--help",
        ] {
            #expect(help.contains(part), "\(part)")
        }
    }

    @Test func `a set finds its commands, suggests near ones and completes`() throws {
        let set = CommandSet("carillon", summary: "Rings.", [command, Command("serve", summary: "Serves.")])
        guard case .run(let found, _) = try set.parse(["agent", "a"]) else { throw CancellationError() }
        #expect(found.name == "agent")
        #expect(throws: OptionsError.self) { try set.parse(["sreve"]) }
        do { _ = try set.parse(["sreve"]) } catch { #expect(error.message.contains("`serve`")) }
        guard case .help(let text) = try set.parse(["help", "serve"]) else { throw CancellationError() }
        #expect(text.contains("Serves."))
        #expect(set.bashCompletion.contains("agent) words='--server --template --json --help'"))
    }

    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("30", .seconds(30)), ("1.5s", .milliseconds(1500)),
        ("5m", .seconds(300)),
        ("2h", .seconds(7200)), ("7d", .seconds(604800)),
    ])
    func `a time is read as people write it`(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
        #expect(DurationText.parse(DurationText.render(duration)) == duration)
    }

    @Test(arguments: ["", "s", "-1s", "1y", "1e400s", "nan", "99999999999d"])
    func `what is no time is refused`(text: String) { #expect(DurationText.parse(text) == nil) }
}
