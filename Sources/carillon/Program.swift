import Foundation
import Lifecycle
import Options

/// One command of the program.
protocol Verb {
    static var command: Command { get }
    /// Returns the exit code: 0 done, 1 not done, 2 called wrongly.
    static func run(_ invocation: Invocation, _ terminal: Terminal) async throws -> Int32
}

/// The commands and how a command line becomes a call of one.
enum Program {
    static var verbs: [any Verb.Type] {
        [
            Serve.self, Agent.self, Get.self, Refresh.self, Publish.self, Subscribe.self, Status.self, DeadLetters.self, Scale.self,
            Simulate.self,
            Conform.self,
            Completion.self,
        ]
    }

    static var commands: CommandSet {
        CommandSet(
            "carillon", summary: "Publishes configuration and events: ring once, every tower hears.",
            verbs.map { $0.command })
    }

    static func run(_ words: [String], _ terminal: Terminal = .standard) async -> Int32 {
        do {
            if words.first == "--version" {
                terminal.print("carillon \(version)")
                return 0
            }
            switch try commands.parse(words, environment: ProcessInfo.processInfo.environment) {
            case .help(let text):
                terminal.print(text, end: "")
                return 0
            case .run(let command, let invocation):
                guard let verb = verbs.first(where: { $0.command.name == command.name }) else { return 2 }
                return try await verb.run(invocation, terminal)
            }
        } catch {
            // Which service of a command failed is of no use to its caller: the reason is.
            return complain((error as? ServiceFailure)?.underlying ?? error, terminal)
        }
    }

    /// Says what went wrong and returns the exit code.
    private static func complain(_ error: any Error, _ terminal: Terminal) -> Int32 {
        switch error {
        case let error as OptionsError:
            terminal.complain("carillon: \(error.message)")
            if let command = error.command { terminal.complain("`carillon help \(command)` shows how it is called") }
            return 2
        case let failure as Failure:
            terminal.complain("carillon: \(failure.message)")
            return failure.code
        case is CancellationError: return 1
        default:
            terminal.complain("carillon: \(error)")
            return 1
        }
    }

    /// The version of this program.
    static let version = "0.1.0"
}

/// Where a command writes.
struct Terminal: Sendable {
    private let output: @Sendable (String) -> Void
    private let errors: @Sendable (String) -> Void

    init(output: @escaping @Sendable (String) -> Void, errors: @escaping @Sendable (String) -> Void) {
        self.output = output
        self.errors = errors
    }

    static let standard = Terminal(
        // Whoever reads may leave, as `head` does: what is left has nobody to be told to.
        output: { try? FileHandle.standardOutput.write(contentsOf: Data($0.utf8)) },
        errors: { try? FileHandle.standardError.write(contentsOf: Data($0.utf8)) })

    func print(_ text: String, end: String = "\n") { output(text + end) }
    func complain(_ text: String) { errors(text + "\n") }
}

/// Why a command did not do what it was asked for.
struct Failure: Error {
    var message: String
    var code: Int32 = 1
    init(_ message: String, code: Int32 = 1) {
        self.message = message
        self.code = code
    }
}
