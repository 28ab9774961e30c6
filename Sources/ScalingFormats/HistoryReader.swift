package import Autoscaler

/// A recording that cannot be read: names the file, the line and the remedy.
package struct HistoryError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ file: String, line: Int, _ reason: String) { description = "\(file):\(line): \(reason)" }
}

/// Reads recordings: CSV with a header, of which `time` and `published` are read, and the columns that a policy names.
package struct HistoryReader {
    private let file: String
    private let columns: [String]
    private var line = 0
    private var indices: [Int] = []
    private var width = 0
    private var rows: [History.Row] = []
    private var hasDates: Bool?
    private var total = 0
    private var last = 0

    /// `columns`: those that must be there besides.
    package static func read(_ bytes: [UInt8], file: String, columns: [String] = []) throws(HistoryError) -> History {
        var reader = HistoryReader(file: file, columns: columns)
        try reader.read(bytes)
        return History(rows: reader.rows, columns: columns, hasDates: reader.hasDates ?? false)
    }

    private init(file: String, columns: [String]) {
        self.file = file
        self.columns = columns
    }

    private func wrong(_ reason: String) -> HistoryError { HistoryError(file, line: max(1, line), reason) }

    private mutating func read(_ bytes: [UInt8]) throws(HistoryError) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw wrong("is not text in UTF-8; is this a recording?") }
        for part in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            line += 1
            let content = line == 1 && part.first == "\u{FEFF}" ? part.dropFirst() : part
            guard !content.allSatisfy(\.isWhitespace) else { continue }
            let fields = try fields(of: content)
            if indices.isEmpty { try header(fields) } else { try row(fields) }
        }
        guard !indices.isEmpty else { throw wrong("no header; the first line names the columns, such as time,published") }
        guard !rows.isEmpty else {
            throw wrong("nothing stands behind the header; each line has a time and what was published until then")
        }
    }

    /// Fields by RFC 4180, without line ends within quotes.
    private func fields(of text: Substring) throws(HistoryError) -> [String] {
        guard text.contains("\"") else {
            return text.split(separator: ",", omittingEmptySubsequences: false).map { Self.trimmed($0) }
        }
        var fields: [String] = []
        var field = ""
        var isQuoted = false
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "\"" where isQuoted && rest.first == "\"":
                field.append("\"")
                rest.removeFirst()
            case "\"": isQuoted.toggle()
            case "," where !isQuoted:
                fields.append(Self.trimmed(field[...]))
                field = ""
            default: field.append(character)
            }
        }
        guard !isQuoted else { throw wrong("a quote is not closed") }
        return fields + [Self.trimmed(field[...])]
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    private mutating func header(_ names: [String]) throws(HistoryError) {
        let wanted = ["time", "published"] + columns
        for name in wanted {
            guard let index = names.firstIndex(of: name) else {
                let purpose = columns.contains(name) ? ", which the policy asks for" : ""
                throw wrong("no column `\(name)`\(purpose); the header has \(names.joined(separator: ", "))")
            }
            guard names.lastIndex(of: name) == index else { throw wrong("two columns are called `\(name)`; rename one") }
            indices.append(index)
        }
        width = names.count
    }

    private mutating func row(_ fields: [String]) throws(HistoryError) {
        guard fields.count == width else {
            throw wrong("\(fields.count) fields where the header has \(width); an unknown number is an empty field")
        }
        let time = try time(fields[indices[0]])
        if let before = rows.last, time <= before.time {
            throw wrong("time `\(fields[indices[0]])` is not behind that of the line before; sort the lines by time")
        }
        let published = try published(fields[indices[1]])
        if let published {
            total += published >= last ? published - last : published
            last = published
            guard total <= History.maximumTotal else {
                throw wrong("more than \(History.maximumTotal) messages in all; cut the recording")
            }
        }
        var others: [Double?] = []
        for (name, index) in zip(columns, indices.dropFirst(2)) { others.append(try other(fields[index], name)) }
        rows.append(History.Row(time: time, published: published, others: others))
    }

    private mutating func time(_ text: String) throws(HistoryError) -> Seconds {
        let number = Double(text).flatMap { $0.isFinite && $0 >= 0 && $0 <= Observation.latest ? ($0 * 1000).rounded() / 1000 : nil }
        let date = number == nil ? TimeText.parse(text) : nil
        guard let time = number ?? date else {
            throw wrong("time `\(text)` is neither seconds nor a date such as 2026-11-26T08:00:00Z")
        }
        let isDate = date != nil
        guard hasDates ?? isDate == isDate else { throw wrong("time `\(text)` is not written as in the lines before; use one form") }
        hasDates = isDate
        return time
    }

    private func published(_ text: String) throws(HistoryError) -> Int? {
        if text.isEmpty { return nil }
        guard let number = Double(text), number >= 0, number <= 1e15, number.rounded() == number else {
            throw wrong("published `\(text)` is not a whole number from 0 on; leave it empty where the source did not answer")
        }
        return Int(number)
    }

    private func other(_ text: String, _ name: String) throws(HistoryError) -> Double? {
        if text.isEmpty { return nil }
        guard let number = Double(text).flatMap({ $0.isFinite ? $0 : nil }) ?? TimeText.parse(text) else {
            throw wrong("\(name) `\(text)` is neither a number nor a date; leave it empty where it was unknown")
        }
        return number
    }
}
