import PropertyFormats

/// The words that SnakeYAML has for a file that cannot be read, as far as they are known to be those for the same trouble.
enum OriginalMessage {
    static func of(_ error: PropertyFormatError, in bytes: [UInt8]) -> String? {
        guard error.reason == "while parsing a flow node: did not find expected node content", let line = error.line,
            let column = error.column
        else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard line >= 1, line <= lines.count, column >= 1, lines[line - 1].dropFirst(column - 1).allSatisfy(\.isWhitespace),
            lines[line...].allSatisfy({ $0.allSatisfy(\.isWhitespace) })
        else { return nil }
        let blanks = String(repeating: " ", count: 3 + column)
        let place = " in 'reader', line \(line), column \(column):\n    \(lines[line - 1])\n\(blanks)^\n"
        return "while parsing a flow node\n\(place)expected the node content, but found '<stream end>'\n\(place)"
    }
}
