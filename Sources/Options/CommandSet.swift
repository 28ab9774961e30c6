/// The commands of a program.
package struct CommandSet: Sendable {
    package let program: String
    package let summary: String
    package let commands: [Command]

    package init(_ program: String, summary: String, _ commands: [Command]) {
        self.program = program
        self.summary = summary
        self.commands = commands
    }

    package enum Reading: Sendable {
        case run(Command, Invocation)
        /// Help that was asked for: goes to standard output, exit code 0.
        case help(String)
    }

    /// Reads a command line without the program's own name.
    package func parse(_ words: [String], environment: [String: String] = [:]) throws(OptionsError) -> Reading {
        guard let first = words.first else { return .help(help) }
        if first == "--help" || first == "-h" { return .help(help) }
        if first == "help" {
            guard words.count > 1 else { return .help(help) }
            return .help(try command(named: words[1]).help(of: program))
        }
        let command = try command(named: first)
        let invocation = try command.parse(Array(words.dropFirst()), environment: environment)
        return invocation.wantsHelp ? .help(command.help(of: program)) : .run(command, invocation)
    }

    private func command(named name: String) throws(OptionsError) -> Command {
        if let command = commands.first(where: { $0.name == name }) { return command }
        let hint = Spelling.nearest(to: name, in: commands.map(\.name)).map { "; did you mean `\($0)`?" } ?? ""
        throw OptionsError("unknown command `\(name)`\(hint) (`\(program) help` lists them)")
    }

    package var help: String {
        "\(summary)\n\nUsage: \(program) COMMAND [options]\n\nCommands:\n"
            + Command.columns(commands.map { ($0.name, $0.summary) })
            + "\n`\(program) help COMMAND` says more of each.\n"
    }

    /// A completion script for bash: commands, then each command's options.
    package var bashCompletion: String {
        var text = "_\(program)() {\n    local word=${COMP_WORDS[COMP_CWORD]} words\n    case ${COMP_WORDS[1]} in\n"
        for command in commands {
            let options = (command.options.map { "--\($0.name)" } + ["--help"]).joined(separator: " ")
            text += "    \(command.name)) words='\(options)' ;;\n"
        }
        text += "    esac\n    [ \"$COMP_CWORD\" -eq 1 ] && words='\((commands.map(\.name) + ["help"]).joined(separator: " "))'\n"
        return text + "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -o default -F _\(program) \(program)\n"
    }
}
