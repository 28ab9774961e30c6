package import Streams

/// What a run has found.
package struct ConformanceReport: Sendable {
    package let binder: String
    package let capabilities: BinderCapabilities
    package let results: [CaseResult]

    package init(binder: String, capabilities: BinderCapabilities, results: [CaseResult]) {
        self.binder = binder
        self.capabilities = capabilities
        self.results = results
    }

    package var failures: [CaseResult] { results.filter { if case .failed = $0.outcome { true } else { false } } }
    package var passed: Int { results.count { $0.outcome == .passed } }
    package var skipped: Int { results.count - passed - failures.count }

    /// What was missing where cases were skipped.
    package var missing: [String] {
        let names = results.flatMap { result in if case .skipped(let names) = result.outcome { names } else { [String]() } }
        return BinderCapabilities.all.names.filter(names.contains)
    }

    /// `conformance rabbitmq: 70 run, 70 passed, 5 skipped (lag, orderPerKey)`
    package var line: String {
        let failed = failures.isEmpty ? "" : ", \(failures.count) failed"
        let flags = missing.isEmpty ? "" : " (\(missing.joined(separator: ", ")))"
        return "conformance \(binder): \(results.count - skipped) run, \(passed) passed\(failed), \(skipped) skipped\(flags)"
    }

    /// A line for each case, and under it what was found wrong; then what the binder can do.
    package var table: String {
        var text = ""
        for result in results { text += result.line + "\n" }
        text += "\ncapabilities  " + Self.wrapped(capabilities.names) + "\n"
        let lacks = BinderCapabilities.all.subtracting(capabilities).names
        if !lacks.isEmpty { text += "without       " + Self.wrapped(lacks) + "\n" }
        return text
    }

    private static func wrapped(_ words: [String], width: Int = 84) -> String {
        var lines: [String] = [""]
        for word in words {
            if lines[lines.count - 1].count + word.count > width { lines.append("") }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines.joined(separator: "\n" + String(repeating: " ", count: 14))
    }
}

extension CaseResult {
    /// The same in one line, for reports that show no more of it.
    package var summary: String { line.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: ": ") }

    /// `E4   passed   3.2 s  a broker that falls silent …`
    package var line: String {
        let (word, note) =
            switch outcome {
            case .passed: ("passed", "")
            case .failed(let what): ("FAILED", "\n     " + what.split(whereSeparator: \.isNewline).joined(separator: "\n     "))
            case .skipped(let names): ("skipped", " — without " + names.joined(separator: ", "))
            }
        let seconds = duration.components.seconds
        let tenths = duration.components.attoseconds / 100_000_000_000_000_000
        let time = note.hasPrefix(" ") ? "-" : "\(seconds).\(tenths) s"
        func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
            let blanks = String(repeating: " ", count: max(0, width - text.count))
            return left ? blanks + text : text + blanks
        }
        return "\(padded(id, 4)) \(padded(word, 7)) \(padded(time, 7, left: true))  \(title)\(note)"
    }
}
