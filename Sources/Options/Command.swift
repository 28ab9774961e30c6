/// A command of the program as a value: its options, its help, and how a command line is read by it.
package struct Command: Sendable {
    package let name: String
    /// One line, as the list of commands shows it.
    package let summary: String
    /// What help shows between the usage and the options.
    package let explanation: String
    package let arguments: [Argument]
    package let options: [Option]
    /// Whether everything behind `--` belongs to another program: `-- command …`.
    package let trailing: String?
    /// Lines of help at the end that show the command in use.
    package let examples: [String]

    /// A word that is not an option.
    package struct Argument: Sendable {
        package let name: String
        package let help: String
        package let isRequired: Bool
        package init(_ name: String, _ help: String, isRequired: Bool = true) {
            self.name = name
            self.help = help
            self.isRequired = isRequired
        }
    }

    /// `--name`, with a value where `value` names one.
    package struct Option: Sendable {
        package let name: String
        /// What stands for the value in help: `URL`. Nil: a flag.
        package let value: String?
        package let help: String
        package let repeats: Bool
        /// Read where the command line does not name the option.
        package let environment: String?

        package init(_ name: String, value: String? = nil, _ help: String, repeats: Bool = false, environment: String? = nil) {
            self.name = name
            self.value = value
            self.help = help
            self.repeats = repeats
            self.environment = environment
        }
    }

    package init(
        _ name: String, summary: String, explanation: String = "", arguments: [Argument] = [], options: [Option] = [],
        trailing: String? = nil,
        examples: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.explanation = explanation
        self.arguments = arguments
        self.options = options
        self.trailing = trailing
        self.examples = examples
    }

    /// Reads the words behind the command's name. `--name value` and `--name=value` are the same; `--help` gives `.help`.
    package func parse(_ words: [String], environment: [String: String] = [:]) throws(OptionsError) -> Invocation {
        var invocation = Invocation()
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                guard trailing != nil else { throw OptionsError("`\(name)` takes nothing behind `--`", command: self) }
                invocation.trailing = Array(rest)
                break
            }
            if word == "--help" || word == "-h" {
                invocation.wantsHelp = true
                continue
            }
            guard word.hasPrefix("--"), word.count > 2 else {
                if word.hasPrefix("-"), word.count > 1, Int(word) == nil {
                    throw OptionsError("unknown option `\(word)` of `\(name)`", command: self)
                }
                invocation.arguments.append(word)
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let option = options.first(where: { $0.name == parts[0] }) else {
                let hint = Spelling.nearest(to: parts[0], in: options.map(\.name)).map { "; did you mean `--\($0)`?" } ?? ""
                throw OptionsError("unknown option `--\(parts[0])` of `\(name)`\(hint)", command: self)
            }
            let value: String
            if option.value == nil {
                guard parts.count == 1 else { throw OptionsError("`--\(option.name)` takes no value", command: self) }
                value = "true"
            } else if parts.count > 1 {
                value = parts[1]
            } else if let next = rest.popFirst() {
                value = next
            } else {
                throw OptionsError("`--\(option.name)` needs a value: --\(option.name) \(option.value ?? "")", command: self)
            }
            if !option.repeats, invocation.values[option.name] != nil {
                throw OptionsError("`--\(option.name)` is given twice", command: self)
            }
            invocation.values[option.name, default: []].append(value)
        }
        if invocation.wantsHelp { return invocation }
        for option in options where invocation.values[option.name] == nil {
            if let variable = option.environment, let value = environment[variable], !value.isEmpty {
                invocation.values[option.name] = [value]
            }
        }
        let required = arguments.prefix { $0.isRequired }.count
        if invocation.arguments.count < required {
            throw OptionsError("`\(name)` needs \(arguments[invocation.arguments.count].name)", command: self)
        }
        if invocation.arguments.count > arguments.count {
            throw OptionsError("`\(name)` does not take `\(invocation.arguments[arguments.count])`", command: self)
        }
        return invocation
    }

    /// How the command is called, on one line.
    package func usage(of program: String) -> String {
        var line = "\(program) \(name)"
        for argument in arguments { line += argument.isRequired ? " \(argument.name)" : " [\(argument.name)]" }
        if !options.isEmpty { line += " [options]" }
        if let trailing { line += " [-- \(trailing)]" }
        return line
    }

    /// The help text, ending with a line feed.
    package func help(of program: String) -> String {
        var text = "\(summary)\n\nUsage: \(usage(of: program))\n"
        if !explanation.isEmpty { text += "\n\(explanation)\n" }
        let described = arguments.map { ($0.name, $0.help) }
        if !described.isEmpty { text += "\nArguments:\n" + Self.columns(described) }
        let listed = options.map { option in
            let head = "--\(option.name)" + (option.value.map { " \($0)" } ?? "")
            let notes = [option.repeats ? "repeatable" : nil, option.environment.map { "or $\($0)" }].compactMap { $0 }
            return (head, option.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))"))
        }
        text += "\nOptions:\n" + Self.columns(listed + [("--help", "show this")])
        if !examples.isEmpty { text += "\nExamples:\n" + examples.map { "  \($0)\n" }.joined() }
        return text
    }

    static func columns(_ rows: [(String, String)], width: Int = 100) -> String {
        let left = min(34, (rows.map { $0.0.count }.max() ?? 0) + 2)
        var text = ""
        for (head, description) in rows {
            var line = "  " + head
            line +=
                line.count > left + 1
                ? "\n" + String(repeating: " ", count: left + 2) : String(repeating: " ", count: left + 2 - line.count)
            var column = left + 2
            for word in description.split(separator: " ") {
                if column + word.count > width {
                    line += "\n" + String(repeating: " ", count: left + 2)
                    column = left + 2
                }
                line += word + " "
                column += word.count + 1
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}

/// A command line as it was read.
package struct Invocation: Sendable {
    package fileprivate(set) var values: [String: [String]] = [:]
    package fileprivate(set) var arguments: [String] = []
    /// What stands behind `--`.
    package fileprivate(set) var trailing: [String] = []
    package fileprivate(set) var wantsHelp = false

    package init() {}

    package func has(_ name: String) -> Bool { values[name] != nil }
    package func value(_ name: String) -> String? { values[name]?.last }
    package func all(_ name: String) -> [String] { values[name] ?? [] }

    /// A whole number within `range`.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(OptionsError) -> Int? {
        guard let text = value(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw OptionsError("`--\(name)` needs a whole number from \(range.lowerBound) to \(range.upperBound), not `\(text)`")
        }
        return number
    }

    /// A time such as `500ms`, `30s`, `5m`, `2h`, or a plain number of seconds.
    package func duration(_ name: String) throws(OptionsError) -> Duration? {
        guard let text = value(name) else { return nil }
        guard let duration = DurationText.parse(text) else {
            throw OptionsError("`--\(name)` needs a time such as 500ms, 30s, 5m or 2h, not `\(text)`")
        }
        return duration
    }
}

/// A command line that cannot be read.
package struct OptionsError: Error, CustomStringConvertible {
    package let message: String
    package let command: String?
    init(_ message: String, command: Command? = nil) {
        self.message = message
        self.command = command?.name
    }
    package var description: String { message }
}
