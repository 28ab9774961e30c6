/// Rows under heads, for people.
package struct TextTable {
    private let rows: [[String]]

    package init(_ heads: [String], _ rows: [[String]]) { self.rows = [heads] + rows }

    /// Columns two blanks apart; nothing at the ends of lines.
    package var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = zip(row, widths).map { text, width in text + String(repeating: " ", count: width - text.count) }.joined(
                separator: "  ")
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
