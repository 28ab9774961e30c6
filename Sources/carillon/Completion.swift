import Options

/// `carillon completion`: completion for shells.
enum Completion: Verb {
    static let command = Command(
        "completion", summary: "Prints a completion script for bash.",
        examples: ["source <(carillon completion)"])

    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32 {
        terminal.print(Program.commands.bashCompletion, end: "")
        return 0
    }
}
