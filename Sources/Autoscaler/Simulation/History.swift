/// What came to one queue: how many messages had been published at known times.
package struct History: Sendable, Hashable {
    /// One line of a recording.
    package struct Row: Sendable, Hashable {
        /// Seconds since 1970, or since anything else.
        package var time: Seconds
        /// Messages since the recording began, as the source counted; nil: it did not answer.
        package var published: Int?
        /// Other columns, by the order of `History.columns`; nil: unknown.
        package var others: [Double?]

        package init(time: Seconds, published: Int?, others: [Double?] = []) {
            self.time = time
            self.published = published
            self.others = others
        }
    }

    /// Times in which so many messages came, evenly.
    struct Span: Sendable, Hashable {
        var start: Seconds
        var end: Seconds
        var count: Int
        /// All that came before.
        var before: Int

        /// When the message comes that has `index` others of this span before it.
        func time(of index: Int) -> Seconds { start + (end - start) * (Double(index) + 0.5) / Double(count) }

        /// How many of the span have come at `time`.
        func arrived(at time: Seconds) -> Int {
            guard time < end else { return count }
            guard time > start else { return 0 }
            return min(count, max(0, Int(((time - start) / (end - start) * Double(count) + 0.5).rounded(.down))))
        }
    }

    package let rows: [Row]
    /// Names of the further columns.
    package let columns: [String]
    /// Whether the times were written as dates.
    package let hasDates: Bool
    /// All messages of the recording.
    package let total: Int
    let spans: [Span]

    /// More messages are refused by whoever reads a recording: each is followed on its way.
    package static let maximumTotal = 2_000_000_000

    /// `rows`: at least one, in the order of their times. A lower number than before was counted from 0 again; what came while the source did not
    /// answer lies evenly up to its next number.
    package init(rows: [Row], columns: [String] = [], hasDates: Bool = false) {
        precondition(!rows.isEmpty, "a history has at least one row")
        var spans: [Span] = []
        var total = 0
        var last: (time: Seconds, published: Int) = (rows[0].time, 0)
        for row in rows {
            guard let published = row.published else { continue }
            let count = published >= last.published ? published - last.published : published
            spans.append(Span(start: last.time, end: row.time, count: count, before: total))
            total += count
            last = (row.time, published)
        }
        self.rows = rows
        self.columns = columns
        self.hasDates = hasDates
        self.spans = spans
        self.total = total
    }

    package var begin: Seconds { rows[0].time }
    package var end: Seconds { rows[rows.count - 1].time }
}

/// Reads a history forwards: each question is for a time that is not before the last one.
struct HistoryCursor: Sendable {
    private let history: History
    private var row = 0
    private var span = 0
    private var next = Next(span: 0, index: 0)

    private struct Next: Sendable {
        var span: Int
        var index: Int
    }

    init(_ history: History) {
        self.history = history
        skipEmpty()
    }

    /// The arrival of the first message that was not yet taken; nil at the end.
    var arrival: Seconds? {
        guard next.span < history.spans.count else { return nil }
        return history.spans[next.span].time(of: next.index)
    }

    mutating func take() {
        next.index += 1
        if next.index >= history.spans[next.span].count {
            next = Next(span: next.span + 1, index: 0)
            skipEmpty()
        }
    }

    private mutating func skipEmpty() {
        while next.span < history.spans.count, history.spans[next.span].count == 0 { next.span += 1 }
    }

    /// How many messages have come at `time`.
    mutating func arrived(at time: Seconds) -> Int {
        while span + 1 < history.spans.count, history.spans[span + 1].start <= time { span += 1 }
        guard span < history.spans.count else { return 0 }
        return history.spans[span].before + history.spans[span].arrived(at: time)
    }

    /// The line that tells of `time`: the last one that is not behind it.
    mutating func line(at time: Seconds) -> History.Row {
        while row + 1 < history.rows.count, history.rows[row + 1].time <= time { row += 1 }
        return history.rows[row]
    }
}
